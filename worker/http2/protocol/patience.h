// Detects clients that take just enough of a response to keep it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "worker/net/timeout_lists.h"

namespace pronghorn::worker {

// How long a client has held back what waits for it. Each byte that it takes gives back the time that it may take at
// the minimum rate, so a client that reads slowly but steadily is never over the limit, and one that opens its window
// byte by byte is, as if it took nothing.
//
// Context: loop thread; one per stream, and one per connection.
class Patience {
 public:
  // Something begins to wait for the client.
  void restart() noexcept { held_ms_ = 0; }
  // The client takes `bytes`. `minimum` is in bytes per second; with zero each byte gives back everything.
  void took(std::size_t bytes, std::uint64_t minimum) noexcept {
    if (held_ms_ == 0 || minimum == 0) return restart();
    held_ms_ -= std::min(held_ms_, (std::uint64_t{bytes} * 1000 + minimum - 1) / minimum);
  }
  // For another tick the client takes nothing.
  void wait(std::uint64_t limit_ms) noexcept { held_ms_ = std::min(held_ms_ + kTickMs, limit_ms); }
  // Whether that has lasted for too long; never if the limit is zero.
  [[nodiscard]] bool over(std::uint64_t limit_ms) const noexcept { return limit_ms != 0 && held_ms_ >= limit_ms; }

 private:
  std::uint64_t held_ms_ = 0;
};

}  // namespace pronghorn::worker
