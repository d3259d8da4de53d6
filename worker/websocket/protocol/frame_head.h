// The first bytes of a frame (RFC 6455 section 5.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/websocket/protocol/frame.h"

namespace pronghorn::worker {

inline constexpr std::size_t kMaxFrameHead = 14;     // bytes
inline constexpr std::size_t kStartOfFrameHead = 2;  // the bytes that tell how long the head is
inline constexpr unsigned kCompressedBit = 4;        // of FrameHead::reserved (RFC 7692 section 6)

struct FrameHead {
  Opcode opcode;      // may have a value that is not named
  unsigned reserved;  // RSV1 is 4, RSV2 is 2, RSV3 is 1
  bool final;         // the last frame of its message
  bool masked;
  std::size_t size;      // of the head itself
  std::uint64_t length;  // of the payload; at most 127 while only the first two bytes are known: see parse_frame_head()
};

// Parses a head, or its first two bytes, which say everything but a length of more than 125. Checks nothing.
[[nodiscard]] constexpr FrameHead parse_frame_head(std::string_view bytes) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(bytes[i])); };
  FrameHead head{static_cast<Opcode>(byte(0) & 15),
                 (byte(0) >> 4) & 7,
                 (byte(0) & 128) != 0,
                 (byte(1) & 128) != 0,
                 kStartOfFrameHead,
                 byte(1) & 127};
  const std::size_t extended = head.length == 126 ? 2 : head.length == 127 ? 8 : 0;
  head.size += extended + (head.masked ? 4 : 0);
  if (extended == 0 || bytes.size() < head.size) return head;
  head.length = 0;
  for (std::size_t i = 0; i < extended; ++i) head.length = head.length << 8 | byte(kStartOfFrameHead + i);
  return head;
}

}  // namespace pronghorn::worker
