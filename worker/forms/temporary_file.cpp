#include "pronghorn/temporary_file.h"
#include "pronghorn/offload.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

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

}  // namespace

struct TemporaryFile::Descriptor {
  explicit Descriptor(int open_file) noexcept : fd(open_file) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { ::close(fd); }
  int fd;
};

TemporaryFile::TemporaryFile(const std::string& directory)
    : path_((directory.empty() ? temporary_directory() : directory) + "/pronghorn-XXXXXX") {
  const int fd = ::mkostemp(path_.data(), O_CLOEXEC);  // mode 0600
  if (fd < 0) throw_errno("making a temporary file in " + (directory.empty() ? temporary_directory() : directory));
  descriptor_ = std::make_shared<Descriptor>(fd);
}

TemporaryFile& TemporaryFile::operator=(TemporaryFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  std::swap(size_, other.size_);
  std::swap(kept_, other.kept_);
  return *this;
}

TemporaryFile::~TemporaryFile() {
  if (descriptor_ != nullptr && !kept_) ::unlink(path_.c_str());
}

Task<void> TemporaryFile::write(std::string data) {
  const std::size_t size = data.size();
  // Not within the co_await: GCC 12 destroys the captures of a lambda that is made there twice.
  auto work = [file = descriptor_, bytes = std::move(data)] { write_all(file->fd, bytes); };
  co_await offload(std::move(work));
  size_ += size;
}

void TemporaryFile::keep(const std::string& path) {
  if (std::rename(path_.c_str(), path.c_str()) != 0) throw_errno("moving " + path_ + " to " + path);
  path_ = path;
  kept_ = true;
}

}  // namespace pronghorn
