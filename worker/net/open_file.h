// A regular file that responses send parts of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace pronghorn::detail {

// Context:   loop thread.
// Ownership: shared by the cache that opened it and the responses that send it; closed with the last of them.
class OpenFile {
 public:
  // Takes ownership of `fd`, which is open for reading.
  explicit OpenFile(int fd) noexcept : fd_(fd) {}
  // A file whose bytes are in memory.
  explicit OpenFile(std::string content) noexcept : content_(std::move(content)) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile();

  // -1 if the bytes are in memory.
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] bool in_memory() const noexcept { return content_.has_value(); }

  // Appends `size` bytes from `offset` to `out`. Blocks while the disk is read. False when the file ends earlier or
  // cannot be read: `out` then has what could be read.
  [[nodiscard]] bool append(std::string& out, std::uint64_t offset, std::size_t size) const;

 private:
  int fd_ = -1;
  std::optional<std::string> content_;
};

}  // namespace pronghorn::detail

namespace pronghorn::worker {
using pronghorn::detail::OpenFile;  // the public headers name it

// The descriptor of a new file of the kernel's memory with these bytes. -1 when there is no descriptor or no memory for
// it. Allocates nothing itself.
[[nodiscard]] int memory_file(std::string_view bytes) noexcept;
}  // namespace pronghorn::worker
