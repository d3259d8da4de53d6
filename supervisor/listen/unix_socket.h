// Listening Unix sockets, for clients and for control.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "common/fd.h"

namespace pronghorn::supervisor {

// The permissions of a socket's file, which decide who may connect.
struct SocketFile {
  mode_t mode = 0;    // 0: by the umask
  std::string owner;  // USER, USER:GROUP or :GROUP, names or numbers; empty: the user who runs the server
};

// Identifies the file at a path. Empty: there is none.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const FileId&, const FileId&) = default;
};
[[nodiscard]] std::optional<FileId> file_id(const std::string& path) noexcept;

// A listening socket and its file. The file appears atomically, with its mode and owner, when the socket listens. It
// replaces a socket on which nobody listens any more, and nothing else.
class UnixSocket {
 public:
  // Close-on-exec and non-blocking. Throws ConfigurationError, with a message that begins with the path, when the path
  // has more than kMaxSocketPath bytes, is in use, or cannot be created.
  UnixSocket(const std::string& path, const SocketFile& file, int backlog);
  // Takes over a socket of an earlier image of this program.
  UnixSocket(std::string path, Fd fd);
  UnixSocket(UnixSocket&&) = default;
  UnixSocket& operator=(UnixSocket&&) = default;
  // Closes the socket and removes the file.
  ~UnixSocket();

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  // Removes the file, unless it has been replaced by another one.
  void remove_file() noexcept;

 private:
  std::string path_;
  Fd fd_;
  std::optional<FileId> file_;  // ours
};

// Whether a process has this socket open; true when that cannot be determined. Does not block.
[[nodiscard]] bool is_socket_live(const std::string& path) noexcept;
// The process that called listen() on this socket. 0: none, or it cannot be determined now. Does not block.
[[nodiscard]] int listening_pid(const std::string& path) noexcept;

}  // namespace pronghorn::supervisor
