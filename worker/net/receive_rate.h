// Tells a client that sends slowly from one that sends so little that it seems to want the connection more than an
// answer.
#pragma once

#include <cstddef>
#include <cstdint>

#include "worker/net/timeout_lists.h"

namespace pronghorn::worker {

class ReceiveRate {
 public:
  // Begins to measure at this tick: a message begins, or it was us who did not read.
  void restart(std::uint64_t tick) noexcept {
    since_ = tick;
    bytes_ = 0;
  }
  // To be told of all that is received. True when less than `minimum` bytes per second came over at least five seconds;
  // then the next measurement begins. A `minimum` of zero: never.
  [[nodiscard]] bool is_too_slow(std::size_t received, std::uint64_t tick, std::uint64_t minimum) noexcept {
    constexpr std::uint64_t kWindowMs = 5000;
    bytes_ += received;
    const std::uint64_t elapsed_ms = (tick - since_) * kTickMs;
    if (minimum == 0 || elapsed_ms < kWindowMs) return false;
    const bool slow = bytes_ * 1000 < minimum * elapsed_ms;
    restart(tick);
    return slow;
  }

 private:
  std::uint64_t since_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace pronghorn::worker
