#include "worker/files/folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "pronghorn/error.h"
#include "worker/fields/percent_encoding.h"

namespace pronghorn::worker {

namespace {

// O_NONBLOCK: opening a FIFO must not wait for a writer.
constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
constexpr int kFolderFlags = O_PATH | O_DIRECTORY | O_CLOEXEC;

int openat2_beneath(int folder, const char* path, int flags) noexcept {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  constexpr int kAttempts = 4;  // EAGAIN: something was renamed during the lookup
  for (int attempt = 0;; ++attempt) {
    const auto fd = static_cast<int>(::syscall(SYS_openat2, folder, path, &how, sizeof how));
    if (fd >= 0 || errno != EAGAIN || attempt == kAttempts) return fd;
  }
}

bool can_name_a_file(std::string_view segment, bool dotfiles) noexcept {
  if (segment.empty() || segment == "." || segment == "..") return false;
  if (segment.front() == '.' && !dotfiles) return false;
  // A slash in a decoded segment was percent-encoded.
  return segment.find('/') == std::string_view::npos && segment.find('\0') == std::string_view::npos;
}

}  // namespace

Folder::Folder(const std::string& directory) : root_(::open(directory.c_str(), kFolderFlags)) {
  const int error = errno;
  std::error_code no_directory;
  directory_ = std::filesystem::absolute(directory, no_directory);
  struct stat facts{};
  if (root_ < 0 || ::fstat(root_, &facts) != 0) {
    throw std::invalid_argument(fmt::format("serve_files: the folder \"{}\": {}", directory, std::strerror(error)));
  }
  device_ = facts.st_dev;
  inode_ = facts.st_ino;
  // ENOSYS: an old kernel. EPERM: a seccomp filter.
  const int probe = openat2_beneath(root_, ".", O_PATH | O_CLOEXEC);
  has_openat2_ = probe >= 0;
  if (has_openat2_) ::close(probe);
}

Folder::~Folder() { ::close(root_); }

// The number of an inode is not given to another while root_ is open, so equal numbers mean the same folder.
void Folder::refresh() noexcept {
  struct stat facts{};
  if (::stat(directory_.c_str(), &facts) != 0 || (facts.st_dev == device_ && facts.st_ino == inode_)) return;
  const int root = ::open(directory_.c_str(), kFolderFlags);
  if (root < 0) return;
  if (::fstat(root, &facts) != 0) {
    ::close(root);
    return;
  }
  ::close(std::exchange(root_, root));
  device_ = facts.st_dev;
  inode_ = facts.st_ino;
}

int Folder::open(const std::string& path) const noexcept {
  if (path.size() >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return -1;
  }
  return has_openat2_ ? openat2_beneath(root_, path.c_str(), kOpenFlags) : open_step_by_step(root_, path);
}

int open_step_by_step(int folder, const std::string& path) noexcept {
  const int root = folder;
  std::array<char, NAME_MAX + 1> name{};
  for (std::size_t begin = 0;;) {
    const std::size_t slash = path.find('/', begin);
    const bool last = slash == std::string::npos;
    const std::string_view segment = std::string_view(path).substr(begin, last ? slash : slash - begin);
    int next = -1;
    int error = ENAMETOOLONG;
    if (segment.size() < name.size()) {
      name[segment.copy(name.data(), NAME_MAX)] = '\0';
      next = ::openat(folder, name.data(), (last ? kOpenFlags : O_PATH | O_DIRECTORY | O_CLOEXEC) | O_NOFOLLOW);
      error = errno;
    }
    if (folder != root) ::close(folder);
    errno = error;
    if (last || next < 0) return next;
    folder = next;
    begin = slash + 1;
  }
}

std::string relative_path(std::string_view raw, bool dotfiles) {
  std::string path;
  std::string segment;
  for (;;) {
    const std::size_t slash = raw.find('/');
    const bool last = slash == std::string_view::npos;
    if (!percent_decode(raw.substr(0, slash), segment, false)) throw bad_request("the path is malformed");
    if (last && segment.empty()) return path += "index.html";
    if (!can_name_a_file(segment, dotfiles)) throw not_found("no such file");
    path += segment;
    if (last) return path;
    path += '/';
    raw.remove_prefix(slash + 1);
  }
}

}  // namespace pronghorn::worker
