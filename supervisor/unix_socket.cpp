#include "supervisor/unix_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "supervisor/errors.h"

namespace pronghorn::supervisor {
namespace {

std::optional<sockaddr_un> socket_address(const std::string& path) noexcept {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// A file that stands where the socket is to be: removed when it is the socket of a server that is gone.
void clear_stale_file(const std::string& path) {
  struct stat facts{};
  if (::lstat(path.c_str(), &facts) != 0) return;  // nothing there; bind() will say if it is something else
  if (!S_ISSOCK(facts.st_mode)) {
    throw ConfigurationError(fmt::format("{}: there is a file that is not a socket; choose another path", path));
  }
  if (is_socket_live(path)) {
    throw ConfigurationError(
        fmt::format("{}: another server is listening on it; stop that one or choose another path", path));
  }
  ::unlink(path.c_str());
}

}  // namespace

bool is_socket_live(const std::string& path) noexcept {
  const auto address = socket_address(path);
  if (!address) return false;
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return false;
  // EAGAIN: the queue of a live server is full.
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0 || errno == EAGAIN;
}

int listening_pid(const std::string& path) noexcept {
  const auto address = socket_address(path);
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!address || !probe) return 0;
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) return 0;
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

std::optional<FileId> file_id(const std::string& path) noexcept {
  struct stat facts{};
  if (::lstat(path.c_str(), &facts) != 0) return std::nullopt;
  return FileId{facts.st_dev, facts.st_ino};
}

UnixSocket::UnixSocket(const std::string& path, mode_t mode) : path_(path) {
  const auto address = socket_address(path);
  if (!address) {
    throw ConfigurationError(fmt::format("{}: the path of a socket has at most {} bytes; choose a shorter one", path,
                                         sizeof(sockaddr_un::sun_path) - 1));
  }
  clear_stale_file(path);
  fd_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_) throw ConfigurationError(fmt::format("{}: cannot create a socket: {}", path, std::strerror(errno)));
  // Through the umask, so that there is no moment at which the file has a wider mode.
  const mode_t old_mask = mode != 0 ? ::umask(static_cast<mode_t>(~mode & 0777)) : 0;
  const int result = ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  const int error = errno;
  if (mode != 0) ::umask(old_mask);
  if (result != 0) throw ConfigurationError(fmt::format("{}: {}", path, std::strerror(error)));
  remember_file();
}

UnixSocket::UnixSocket(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) { remember_file(); }

UnixSocket::~UnixSocket() {
  if (fd_) remove_file();
}

void UnixSocket::remember_file() noexcept {
  struct stat facts{};
  if (::lstat(path_.c_str(), &facts) != 0) return;
  device_ = facts.st_dev;
  inode_ = facts.st_ino;
}

void UnixSocket::remove_file() noexcept {
  struct stat facts{};
  if (::lstat(path_.c_str(), &facts) == 0 && facts.st_dev == device_ && facts.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
}

}  // namespace pronghorn::supervisor
