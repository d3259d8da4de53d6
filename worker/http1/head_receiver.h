// Finds request heads in the bytes of a connection and limits their size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/config/config.h"
#include "worker/http1/parser/refusal.h"

namespace pronghorn::worker {

// The reason for which a client that speaks TLS to a port of plain HTTP is refused.
inline constexpr const char* kTlsOnPlainPort = "TLS was sent to a port of plain HTTP";

// Context: loop thread; one per connection. Remembers how far an incomplete head was scanned, not its bytes.
class HeadReceiver {
 public:
  struct Step {
    enum class State { incomplete, empty_lines, complete, refused };
    State state = State::incomplete;
    std::size_t consumed = 0;    // complete: the head with its empty line; empty_lines: what to skip
    std::size_t first_line = 0;  // complete: the length of the request line without CRLF
  };

  // Looks for a head at the beginning of `bytes`, which is not empty. After `incomplete` it must be called with the
  // same bytes and more. Empty lines before a request line are skipped (RFC 9112 section 2.2). `refusal` is written if
  // the head is refused: why. One of 2 GiB is, whatever
  // the limits are.
  [[nodiscard]] Step next(std::string_view bytes, const HttpLimits& limits, Refusal& refusal) noexcept;

 private:
  [[nodiscard]] Step check_size(std::string_view bytes, const HttpLimits& limits, Refusal& refusal) const noexcept;

  // Small, because each idle connection has them.
  static constexpr std::int32_t kNone = -1;  // as std::size_t: npos
  std::int32_t scanned_ = 0;
  std::int32_t first_line_ = kNone;
};

}  // namespace pronghorn::worker
