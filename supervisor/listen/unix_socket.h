// Listening Unix sockets: for clients, and for control.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "supervisor/system/fd.h"

namespace pronghorn::supervisor {

// Who may connect: the permissions of a socket's file.
struct SocketFile {
  mode_t mode = 0;    // 0: as the umask says
  std::string owner;  // USER, USER:GROUP or :GROUP, names or numbers; empty: who runs the server
};

// Which file a path leads to now. Empty: none.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const FileId&, const FileId&) = default;
};
[[nodiscard]] std::optional<FileId> file_id(const std::string& path) noexcept;

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
  // Closes, and removes the file. A socket that was handed to a new image of this program is not destroyed.
  ~UnixSocket();

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  // Removes the file, unless somebody else has put another one in its place.
  void remove_file() noexcept;

 private:
  std::string path_;
  Fd fd_;
  std::optional<FileId> file_;  // that it made, or found
};

// Whether somebody has the socket of this file; when that cannot be told, it is assumed. Does not block.
[[nodiscard]] bool is_socket_live(const std::string& path) noexcept;
// The process that made the socket listen, as is_socket_live. 0: nobody, or it cannot be told just now.
[[nodiscard]] int listening_pid(const std::string& path) noexcept;

}  // namespace pronghorn::supervisor
