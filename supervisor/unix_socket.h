// Listening Unix sockets: for clients, and for control.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "supervisor/fd.h"

namespace pronghorn::supervisor {

// A bound socket and its file. The file of a socket that nobody listens on any more is replaced; one that is in use is
// refused.
class UnixSocket {
 public:
  // `mode`: of the file; 0 leaves it to the umask. Not listening yet; close-on-exec, non-blocking. Throws
  // ConfigurationError with a line that begins with the path.
  UnixSocket(const std::string& path, mode_t mode);
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
  void remember_file() noexcept;

  std::string path_;
  Fd fd_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// Whether somebody accepts on the socket file now. Does not block.
[[nodiscard]] bool is_socket_live(const std::string& path) noexcept;
// The process that made the socket listen, as is_socket_live. 0: nobody, or it cannot be told just now.
[[nodiscard]] int listening_pid(const std::string& path) noexcept;

// Which file a path leads to now. Empty: none.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const FileId&, const FileId&) = default;
};
[[nodiscard]] std::optional<FileId> file_id(const std::string& path) noexcept;

}  // namespace pronghorn::supervisor
