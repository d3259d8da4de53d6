// Counts the frames of an HTTP/2 connection.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pronghorn::worker {

// nghttp2 tells of most frames, but not of those that it ignores, such as DATA of a stream that has ended. So all are
// counted, and what it has not told of is the difference.
//
// Context: loop thread; one per connection.
class FrameCounter {
 public:
  // How many heads of frames are complete with the next `bytes` of the client. Its preface comes first.
  [[nodiscard]] std::size_t count(std::string_view bytes) noexcept {
    std::size_t frames = 0;
    while (!bytes.empty()) {
      if (skipped_ > 0) {
        const std::size_t skipped = std::min(skipped_, bytes.size());
        skipped_ -= skipped;
        bytes.remove_prefix(skipped);
        continue;
      }
      if (head_ < kLength) length_ = (length_ << 8U) + static_cast<unsigned char>(bytes.front());
      bytes.remove_prefix(1);
      if (++head_ < kHead) continue;
      ++frames;
      skipped_ = length_;
      head_ = length_ = 0;
    }
    return frames;
  }

 private:
  static constexpr std::size_t kPreface = 24;
  static constexpr std::size_t kHead = 9;
  static constexpr std::size_t kLength = 3;

  std::size_t skipped_ = kPreface;  // bytes up to the next head
  std::size_t head_ = 0;            // bytes of it that have come
  std::size_t length_ = 0;
};

}  // namespace pronghorn::worker
