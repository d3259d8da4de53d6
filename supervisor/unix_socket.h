// Listening Unix sockets: for clients, and for control.
#pragma once

#include <sys/types.h>

#include <string>

#include "supervisor/fd.h"

namespace pronghorn::supervisor {

// Who may connect: the permissions of a socket's file.
struct SocketFile {
  mode_t mode = 0;    // 0: as the umask says
  std::string owner;  // USER, USER:GROUP or :GROUP, names or numbers; empty: who runs the server
};

// A listening socket and its file. The file appears in one step, with its mode and owner, when the socket listens: it
// takes the place of one on which nobody listens any more; one that is in use is refused.
class UnixSocket {
 public:
  // Close-on-exec, non-blocking. A path has at most kMaxSocketPath bytes. Throws ConfigurationError with a line that
  // begins with the path.
  UnixSocket(const std::string& path, const SocketFile& file, int backlog);
  // Takes over a socket of an earlier image of this program.
  UnixSocket(std::string path, Fd fd);
  UnixSocket(UnixSocket&&) = default;
  UnixSocket& operator=(UnixSocket&&) = default;
  // Closes. The file stays until remove_file.
  ~UnixSocket() = default;

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  // Removes the file, unless somebody else has put another one in its place.
  void remove_file() noexcept;

 private:
  void remember_file() noexcept;

  std::string path_;
  Fd fd_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// Whether somebody has the socket of this file; when that cannot be told, it is assumed. Does not block.
[[nodiscard]] bool is_socket_live(const std::string& path) noexcept;

}  // namespace pronghorn::supervisor
