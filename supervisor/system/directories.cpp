#include "supervisor/system/directories.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include "common/log.h"
#include "supervisor/system/exit_status.h"

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

Fd open_lock(const std::string& path, const char* option, const char* name) {
  const std::string file = path + "/" + name;
  Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) refuse(path, option, fmt::format("cannot open {}: {}", file, std::strerror(errno)));
  return fd;
}

}  // namespace

bool uses_runtime_dir(const Config& config) {
  return config.redis == "embedded" || control_path(config).starts_with(config.runtime_dir + "/");
}

std::string why_not_writable(const std::string& path) {
  std::filesystem::path folder = std::filesystem::absolute(path);
  std::error_code ignored;
  while (folder.has_relative_path() && !std::filesystem::exists(folder, ignored)) folder = folder.parent_path();
  if (!std::filesystem::is_directory(folder, ignored)) return fmt::format("{} is not a directory", folder.native());
  if (::access(folder.c_str(), W_OK | X_OK) == 0) return {};
  return fmt::format("{}: {}", folder.native(), std::strerror(errno));
}

std::string why_not_private(const std::string& path, uid_t user) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) return errno == ENOENT ? "" : std::strerror(errno);
  if (!S_ISDIR(facts.st_mode)) return "it is not a directory";
  // In a public directory such as /tmp somebody else could have created it, to reach our sockets.
  if (facts.st_uid != user && facts.st_uid != 0) return "it belongs to another user";
  const bool sticky = (facts.st_mode & S_ISVTX) != 0;
  if ((facts.st_mode & S_IWOTH) == 0 || sticky) return {};
  return fmt::format("every user may write there (mode {:04o}); chmod it to 0700", facts.st_mode & 07777);
}

std::string why_public(const std::string& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) return errno == ENOENT ? "" : std::strerror(errno);
  if ((facts.st_mode & S_IWOTH) == 0) return {};
  return fmt::format(
      "every user may create files there (mode {:04o}), also a socket in the place of that of the embedded Redis",
      facts.st_mode & 07777);
}

std::string who_may_replace_files(const std::string& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0 || (facts.st_mode & S_IWGRP) == 0) return {};
  return fmt::format(
      "members of group {} may write there (mode {:04o}): they can replace the server's sockets and the copies of the "
      "application, and so act as its user; chmod it to 0700 unless you trust them with that",
      facts.st_gid, facts.st_mode & 07777);
}

void make_private_directory(const std::string& path, const char* option) {
  if (path.empty()) throw ConfigurationError(std::string(option) + " is empty; set it with " + flag(option));
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST && slash == std::string::npos) {
      refuse(path, option, std::strerror(errno));
    }
    if (slash == std::string::npos) break;
  }
  if (const std::string problem = why_not_private(path, ::geteuid()); !problem.empty()) refuse(path, option, problem);
  if (::access(path.c_str(), W_OK | X_OK) != 0) refuse(path, option, std::strerror(errno));
}

void refuse_public_directory(const std::string& path, const char* option) {
  if (const std::string problem = why_public(path); !problem.empty()) refuse(path, option, problem);
}

Fd lock_directory(const std::string& path, const char* option) {
  Fd fd = open_lock(path, option, "lock");
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) refuse(path, option, fmt::format("it cannot be locked: {}", std::strerror(errno)));
    refuse(path, option, fmt::format("another server{} is using it", pid_in(fd.get())));
  }
  write_lock_pid(fd, ::getpid());
  return fd;
}

Fd lock_redis_data(const std::string& data_dir, std::chrono::milliseconds patience) {
  Fd fd = open_lock(data_dir, "data_dir", "redis.lock");
  const auto limit = std::chrono::steady_clock::now() + patience;
  bool told = false;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      refuse(data_dir, "data_dir", fmt::format("it cannot be locked: {}", std::strerror(errno)));
    const std::string owner = pid_in(fd.get());
    if (std::chrono::steady_clock::now() >= limit) {
      throw std::runtime_error(
          fmt::format("data_dir {}: the Redis of an earlier server{} does not end; kill it", data_dir, owner));
    }
    if (!std::exchange(told, true)) {
      log_info(fmt::format("the Redis of an earlier server{} is still ending", owner), {{"data_dir", data_dir}});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return fd;
}

void write_lock_pid(const Fd& lock, int pid) noexcept {
  std::array<char, 16> text{};
  const int size = std::snprintf(text.data(), text.size(), "%d\n", pid);
  // On a full disk the file stays empty, but the lock still holds.
  if (::ftruncate(lock.get(), 0) != 0 || ::pwrite(lock.get(), text.data(), static_cast<std::size_t>(size), 0) < 0)
    return;
}

}  // namespace pronghorn::supervisor
