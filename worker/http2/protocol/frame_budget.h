// How many frames of a kind a client may send.
#pragma once

#include <algorithm>
#include <cstdint>

#include "worker/net/timeout_lists.h"

namespace pronghorn::worker {

// An account: it gains `per_second` frames each second, up to what five seconds give, and each frame costs one. Useful
// work earns more, because it needs such frames: a client that receives data has to send WINDOW_UPDATE.
//
// Context: loop thread; some per connection.
class FrameBudget {
 public:
  static constexpr std::int64_t kBurstSeconds = 5;
  static constexpr std::int64_t kMostEarned = 1000;  // frames

  // Zero accepts any number.
  FrameBudget(std::uint32_t per_second, std::uint64_t tick) noexcept
      : rate_(per_second), balance_(std::int64_t{per_second} * kBurstSeconds * kTicksPerSecond), last_tick_(tick) {}

  // A frame has arrived. False: it is one too many.
  [[nodiscard]] bool spend(std::uint64_t tick) noexcept {
    if (rate_ == 0) return true;
    if (earned_ > 0) {
      --earned_;
      return true;
    }
    const auto ticks = static_cast<std::int64_t>(std::min<std::uint64_t>(tick - last_tick_, kLongest));
    last_tick_ = tick;
    balance_ = std::min(balance_ + ticks * rate_, rate_ * kBurstSeconds * kTicksPerSecond) - kTicksPerSecond;
    return balance_ >= 0;
  }
  void earn(std::int64_t frames) noexcept { earned_ = std::min(earned_ + frames, kMostEarned); }

 private:
  static constexpr std::int64_t kTicksPerSecond = 1000 / static_cast<std::int64_t>(kTickMs);
  static constexpr std::uint64_t kLongest = 1'000'000;

  std::int64_t rate_;
  std::int64_t balance_;  // frames times kTicksPerSecond
  std::int64_t earned_ = 0;
  std::uint64_t last_tick_;
};

}  // namespace pronghorn::worker
