// The terms of WebSocket frames (RFC 6455): sides, opcodes, which close codes may be sent.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pronghorn::worker {

// Which side of the connection this is. Clients mask what they send, servers do not (section 5.1).
enum class WebSocketRole : std::uint8_t { server, client };

enum class Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

// Whether frames of this opcode are control frames: at most 125 bytes of payload, not fragmented (section 5.5).
[[nodiscard]] constexpr bool is_control(Opcode opcode) noexcept { return static_cast<unsigned>(opcode) >= 8; }

inline constexpr std::size_t kMaxControlPayload = 125;
inline constexpr std::size_t kMaxCloseReason = kMaxControlPayload - 2;  // bytes

// Whether a close frame may have this code: those that are defined for it, and 3000 to 4999, which libraries and
// applications define.
[[nodiscard]] constexpr bool valid_close_code(int code) noexcept {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

}  // namespace pronghorn::worker
