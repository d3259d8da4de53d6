#include "worker/files/range_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

#include "worker/crypto/random_hex.h"

namespace pronghorn::worker {

namespace {

constexpr std::uint64_t kBlock = 64 * 1024;

struct Parts {
  std::shared_ptr<const OpenFile> file;
  std::vector<ByteRange> ranges;
  std::uint64_t file_size;
  std::string content_type;
  std::string boundary;
};

// `parts` belongs to the producer, which outlives the task.
Task<void> write_parts(const Parts& parts, Writer& out) {
  std::string block;
  for (const ByteRange& range : parts.ranges) {
    block = fmt::format("\r\n--{}\r\nContent-Type: {}\r\nContent-Range: {}\r\n\r\n", parts.boundary, parts.content_type,
                        content_range(range, parts.file_size));
    std::uint64_t sent = 0;
    while (sent < range.length) {
      const std::uint64_t size = std::min(range.length - sent, kBlock);
      if (!parts.file->append(block, range.offset + sent, static_cast<std::size_t>(size))) {
        throw std::runtime_error("the file was truncated while it was being sent");
      }
      sent += size;
      co_await out.write(block);
      block.clear();
    }
  }
  block = fmt::format("\r\n--{}--\r\n", parts.boundary);
  co_await out.write(block);
}

}  // namespace

Response range_parts(std::shared_ptr<const OpenFile> file, std::vector<ByteRange> ranges, std::uint64_t file_size,
                     std::string_view content_type) {
  Parts parts{std::move(file), std::move(ranges), file_size, std::string(content_type), random_hex()};
  const std::string type = fmt::format("multipart/byteranges; boundary={}", parts.boundary);
  Response response = stream(type, [parts = std::move(parts)](Writer& out) { return write_parts(parts, out); });
  response.status(206);
  return response;
}

}  // namespace pronghorn::worker
