#include "worker/files/folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "pronghorn/error.h"
#include "worker/fields/percent_encoding.h"

namespace pronghorn::worker {

namespace {

// O_NONBLOCK: opening a FIFO must not wait for its other end.
constexpr int kOpenFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

int openat2_beneath(int folder, const char* path, int flags) noexcept {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  constexpr int kAttempts = 4;  // EAGAIN: something was renamed while the kernel looked
  for (int attempt = 0;; ++attempt) {
    const auto fd = static_cast<int>(::syscall(SYS_openat2, folder, path, &how, sizeof how));
    if (fd >= 0 || errno != EAGAIN || attempt == kAttempts) return fd;
  }
}

bool can_name_a_file(std::string_view segment, bool dotfiles) noexcept {
  if (segment.empty() || segment == "." || segment == "..") return false;
  if (segment.front() == '.' && !dotfiles) return false;
  // A slash can only have been an encoded one.
  return segment.find('/') == std::string_view::npos && segment.find('\0') == std::string_view::npos;
}

}  // namespace

Folder::Folder(const std::string& directory) : root_(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
  if (root_ < 0) {
    throw std::invalid_argument(fmt::format("serve_files: the folder \"{}\": {}", directory, std::strerror(errno)));
  }
  // ENOSYS of an old kernel, EPERM of a seccomp filter.
  const int probe = openat2_beneath(root_, ".", O_PATH | O_CLOEXEC);
  has_openat2_ = probe >= 0;
  if (has_openat2_) ::close(probe);
}

Folder::~Folder() { ::close(root_); }

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
