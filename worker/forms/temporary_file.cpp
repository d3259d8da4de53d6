#include "pronghorn/temporary_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "common/fd.h"
#include "pronghorn/offload.h"

namespace pronghorn {
namespace {

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

std::string temporary_directory() {
  const char* directory = ::getenv("TMPDIR");
  return directory != nullptr && *directory != '\0' ? directory : "/tmp";
}

void write_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t size = ::write(fd, data.data(), data.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw_errno("writing a temporary file");
    data.remove_prefix(static_cast<std::size_t>(size));
  }
}

// The way to a file without a name, for every process of this user while the file is open.
std::string path_of_descriptor(int fd) { return fmt::format("/proc/{}/fd/{}", ::getpid(), fd); }

// Opens a file without a name (O_TMPFILE), which vanishes with its last descriptor, however the process ends. Returns
// -1 where the file system cannot do that, or /proc, through which such a file gets a path, is not mounted.
int open_unnamed(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 || ::access(path_of_descriptor(fd).c_str(), F_OK) == 0) return fd;
  ::close(fd);
  return -1;
}

// Gives the file at `descriptor_path` the name `path`, replacing a file of that name. linkat() replaces nothing, so the
// file is linked under another name of the same folder first and then renamed.
void link_and_rename(const std::string& descriptor_path, const std::string& path) {
  for (unsigned attempt = 0;; ++attempt) {
    const std::string next = fmt::format("{}.{}.{}.tmp", path, ::getpid(), attempt);
    if (::linkat(AT_FDCWD, descriptor_path.c_str(), AT_FDCWD, next.c_str(), AT_SYMLINK_FOLLOW) == 0) {
      if (std::rename(next.c_str(), path.c_str()) == 0) return;
      const int error = std::exchange(errno, 0);
      ::unlink(next.c_str());
      errno = error;
      break;
    }
    if (errno != EEXIST) break;  // left there by a process that was killed
  }
  throw_errno("moving a temporary file to " + path);
}

}  // namespace

struct detail::TemporaryFileDescriptor {
  explicit TemporaryFileDescriptor(int open_file) noexcept : fd(open_file) {}
  Fd fd;
};

TemporaryFile::TemporaryFile(const std::string& directory) {
  const std::string folder = directory.empty() ? temporary_directory() : directory;
  int fd = open_unnamed(folder);
  named_ = fd < 0;
  if (named_) {
    path_ = folder + "/pronghorn-XXXXXX";
    fd = ::mkostemp(path_.data(), O_CLOEXEC);  // mode 0600
  } else {
    path_ = path_of_descriptor(fd);
  }
  if (fd < 0) throw_errno("creating a temporary file in " + folder);
  descriptor_ = std::make_shared<detail::TemporaryFileDescriptor>(fd);
}

TemporaryFile& TemporaryFile::operator=(TemporaryFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  std::swap(size_, other.size_);
  std::swap(named_, other.named_);
  std::swap(kept_, other.kept_);
  return *this;
}

TemporaryFile::~TemporaryFile() {
  if (descriptor_ != nullptr && named_ && !kept_) ::unlink(path_.c_str());
}

Task<void> TemporaryFile::write(std::string data) {
  const std::size_t size = data.size();
  co_await offload([](const std::shared_ptr<detail::TemporaryFileDescriptor>& file,
                      const std::string& bytes) { write_all(file->fd.get(), bytes); },
                   descriptor_, std::move(data));
  size_ += size;
}

void TemporaryFile::keep(const std::string& path) {
  if (named_) {
    if (std::rename(path_.c_str(), path.c_str()) != 0) throw_errno("moving " + path_ + " to " + path);
  } else {
    link_and_rename(path_, path);
  }
  path_ = path;
  named_ = true;
  kept_ = true;
}

}  // namespace pronghorn
