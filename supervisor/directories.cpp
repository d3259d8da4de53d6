#include "supervisor/directories.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "supervisor/errors.h"

namespace pronghorn::supervisor {
namespace {

std::string flag(const char* option) {
  std::string text = std::string("--") + option;
  std::ranges::replace(text, '_', '-');
  return text;
}

[[noreturn]] void refuse(const std::string& path, const char* option, const std::string& why) {
  throw ConfigurationError(fmt::format("{} {}: {}; choose another directory with {}", option, path, why, flag(option)));
}

std::string pid_in(int fd) {
  std::array<char, 16> text{};
  const ssize_t size = ::pread(fd, text.data(), text.size() - 1, 0);
  return size > 0 ? fmt::format(" (pid {})", std::string_view(text.data(), ::strcspn(text.data(), "\n"))) : "";
}

}  // namespace

void make_private_directory(const std::string& path, const char* option) {
  if (path.empty()) throw ConfigurationError(std::string(option) + " is empty; set it with " + flag(option));
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST && slash == std::string::npos) {
      refuse(path, option, std::strerror(errno));
    }
    if (slash == std::string::npos) break;
  }
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) refuse(path, option, std::strerror(errno));
  if (!S_ISDIR(facts.st_mode)) refuse(path, option, "it is not a directory");
  // In a public place such as /tmp somebody else could have made it, to reach our sockets.
  if (::geteuid() != 0 && facts.st_uid != ::geteuid() && facts.st_uid != 0)
    refuse(path, option, "it belongs to another user");
  if (::access(path.c_str(), W_OK | X_OK) != 0) refuse(path, option, std::strerror(errno));
}

Fd lock_directory(const std::string& path, const char* option) {
  const std::string file = path + "/lock";
  Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) refuse(path, option, fmt::format("cannot open {}: {}", file, std::strerror(errno)));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    refuse(path, option, fmt::format("another server{} is using it", pid_in(fd.get())));
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) {
    refuse(path, option, fmt::format("cannot write {}: {}", file, std::strerror(errno)));
  }
  return fd;
}

}  // namespace pronghorn::supervisor
