// Compression of messages (permessage-deflate, RFC 7692) without context takeover: each message is compressed by
// itself, so that all connections share one compressor and one decompressor.
#pragma once

#include <zlib.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace pronghorn::worker {

// What a handshake has negotiated for the messages that this side sends. Those of the peer need no terms: any of its
// windows fits into that of the decompressor.
struct DeflateTerms {
  std::uint8_t window_bits = 15;  // 9 to 15

  bool operator==(const DeflateTerms&) const = default;
};

// Context: one thread. Takes 43 KiB once it has been used.
class Inflater {
 public:
  enum class Result : std::uint8_t { done, invalid, too_big };

  // Replaces `message` by the decompressed payload of a message, which the frames of the message carried (section
  // 7.2.2). Never writes more than `most` bytes, so that a small message cannot take much time or memory. Otherwise
  // `message` is unspecified. Errors: std::bad_alloc.
  [[nodiscard]] Result inflate(std::string_view payload, std::size_t most, std::string& message);

 private:
  struct End {
    void operator()(z_stream* stream) const noexcept;
  };
  std::unique_ptr<z_stream, End> stream_;
};

// Context: one thread. Takes 262 KiB for the largest window once it has been used, half of that for the next smaller one
// and so on.
class Deflater {
 public:
  static constexpr std::size_t kLargestMessage = 0xffffffff;  // bytes: what zlib takes at once

  // Appends to `payload` what the frames of a message carry (section 7.2.1). `message` has at most
  // kLargestMessage bytes. Errors: std::bad_alloc.
  void deflate(std::string_view message, DeflateTerms terms, std::string& payload);

 private:
  static constexpr int kSmallestWindow = 9;
  static constexpr int kLargestWindow = 15;

  struct End {
    void operator()(z_stream* stream) const noexcept;
  };
  z_stream& stream_for(int window_bits);

  std::array<std::unique_ptr<z_stream, End>, kLargestWindow - kSmallestWindow + 1> streams_;
};

}  // namespace pronghorn::worker
