#include "worker/net/open_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace pronghorn::detail {

OpenFile::~OpenFile() {
  if (fd_ >= 0) ::close(fd_);
}

bool OpenFile::append(std::string& out, std::uint64_t offset, std::size_t size) const {
  if (content_) {
    if (offset > content_->size()) return false;
    out.append(*content_, static_cast<std::size_t>(offset), size);
    return size <= content_->size() - offset;
  }
  const std::size_t start = out.size();
  out.resize(start + size);
  for (std::size_t filled = 0; filled < size;) {
    const ssize_t count = ::pread(fd_, out.data() + start + filled, size - filled, static_cast<off_t>(offset + filled));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      out.resize(start + filled);
      return false;
    }
    filled += static_cast<std::size_t>(count);
  }
  return true;
}

}  // namespace pronghorn::detail

namespace pronghorn::worker {

int memory_file(std::string_view bytes) noexcept {
  const int file = ::memfd_create("pronghorn-body", MFD_CLOEXEC);
  while (file >= 0 && !bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      ::close(file);
      return -1;
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return file;
}

}  // namespace pronghorn::worker
