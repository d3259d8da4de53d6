#include "supervisor/listen/unix_socket.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "common/config/config.h"
#include "supervisor/system/exit_status.h"

namespace pronghorn::supervisor {
namespace {

std::optional<sockaddr_un> socket_address(const std::string& path) noexcept {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// A new socket may replace one that a dead server has left, and nothing else.
void check_replaceable(const std::string& path) {
  struct stat facts{};
  if (::lstat(path.c_str(), &facts) != 0) return;  // absent; other errors come again from bind()
  if (!S_ISSOCK(facts.st_mode)) {
    throw ConfigurationError(fmt::format("{}: the file exists and is not a socket; choose another path", path));
  }
  if (is_socket_live(path)) {
    throw ConfigurationError(
        fmt::format("{}: another server is listening on it; stop that one or choose another path", path));
  }
}

struct Owner {
  uid_t user = static_cast<uid_t>(-1);  // -1: unchanged
  gid_t group = static_cast<gid_t>(-1);
};

template <class Id>
bool is_number(std::string_view text, Id& id) noexcept {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  return error == std::errc{} && end == text.data() + text.size() && id != static_cast<Id>(-1);
}

Owner find_owner(const std::string& path, const std::string& text) {
  const auto colon = text.find(':');
  const std::string user = text.substr(0, colon);
  const std::string group = colon == std::string::npos ? "" : text.substr(colon + 1);
  Owner owner;
  if (!user.empty() && !is_number(user, owner.user)) {
    const passwd* const found = ::getpwnam(user.c_str());
    if (found == nullptr) throw ConfigurationError(fmt::format("{}: unix_owner: there is no user \"{}\"", path, user));
    owner.user = found->pw_uid;
  }
  if (!group.empty() && !is_number(group, owner.group)) {
    const struct group* const found = ::getgrnam(group.c_str());
    if (found == nullptr)
      throw ConfigurationError(fmt::format("{}: unix_owner: there is no group \"{}\"", path, group));
    owner.group = found->gr_gid;
  }
  return owner;
}

// Binds under a temporary name, so that no client finds a socket that does not listen yet.
void bind_file(int fd, const std::string& path, mode_t mode) {
  const auto address = socket_address(path);
  ::unlink(path.c_str());  // left by a dead process that had our pid
  // By the umask, so that the file never has a wider mode.
  const mode_t old_mask = mode != 0 ? ::umask(static_cast<mode_t>(~mode & 0777)) : 0;
  const int result = ::bind(fd, reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  const int error = errno;
  if (mode != 0) ::umask(old_mask);
  if (result != 0) throw ConfigurationError(std::strerror(error));
}

void give_away(const std::string& path, const Owner& owner, const std::string& name) {
  if (::lchown(path.c_str(), owner.user, owner.group) == 0) return;
  throw ConfigurationError(
      fmt::format("unix_owner: cannot give the file to {}: {}; only root can change the owner; other "
                  "users can choose a group they are a member of",
                  name, std::strerror(errno)));
}

}  // namespace

bool is_socket_live(const std::string& path) noexcept {
  const auto address = socket_address(path);
  if (!address) return false;
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return false;
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0) return true;
  // Any other error means that the socket is in use: its queue is full, or we may not connect.
  return errno != ECONNREFUSED && errno != ENOENT;
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

UnixSocket::UnixSocket(const std::string& path, const SocketFile& file, int backlog) : path_(path) {
  if (path.empty() || path.size() > kMaxSocketPath) {
    throw ConfigurationError(
        fmt::format("{}: the path of a socket has at most {} bytes; choose a shorter one", path, kMaxSocketPath));
  }
  check_replaceable(path);
  const Owner owner = find_owner(path, file.owner);
  const std::string temporary = fmt::format("{}.{}", path, ::getpid());
  try {
    fd_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd_) throw ConfigurationError(fmt::format("cannot create a socket: {}", std::strerror(errno)));
    bind_file(fd_.get(), temporary, file.mode);
    if (!file.owner.empty()) give_away(temporary, owner, file.owner);
    if (::listen(fd_.get(), backlog) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
      throw ConfigurationError(std::strerror(errno));
    }
  } catch (const ConfigurationError& error) {
    ::unlink(temporary.c_str());
    throw ConfigurationError(fmt::format("{}: {}", path, error.what()));
  }
  file_ = file_id(path_);
}

UnixSocket::UnixSocket(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)), file_(file_id(path_)) {}

UnixSocket::~UnixSocket() {
  if (fd_) remove_file();
}

void UnixSocket::remove_file() noexcept {
  if (file_ && file_id(path_) == file_) ::unlink(path_.c_str());
}

}  // namespace pronghorn::supervisor
