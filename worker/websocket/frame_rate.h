// How many frames a client sends.
#pragma once

#include <algorithm>
#include <cstdint>

#include "worker/net/timeout_lists.h"

namespace pronghorn::worker {

// Two buckets of tokens, on the clock of the timeouts: of control frames and empty fragments, which every client may
// send only so often because nothing but the client's goodwill limits them, and of messages and small fragments, for
// routes with max_rate().
//
// Context: loop thread; one per connection.
class FrameRate {
 public:
  // Whether `count` control frames may come at `tick`: 100 in a row, 20 a second on average.
  [[nodiscard]] bool take_control(std::uint64_t tick, std::uint32_t count = 1) noexcept {
    return control_.take(tick, 20, 100, count);
  }
  // Whether `count` messages may come: ten seconds' worth in a row. `per_second` 0: any.
  [[nodiscard]] bool take_message(std::uint64_t tick, std::uint32_t per_second, std::uint32_t count = 1) noexcept {
    return per_second == 0 || messages_.take(tick, per_second, std::uint64_t{per_second} * 10, count);
  }

 private:
  static constexpr std::uint64_t kTicksPerSecond = 1000 / kTickMs;
  struct Bucket {
    std::uint64_t used = 0;  // in frames * kTicksPerSecond
    std::uint64_t tick = 0;
    [[nodiscard]] bool take(std::uint64_t now, std::uint64_t per_second, std::uint64_t burst,
                            std::uint64_t count) noexcept {
      used -= std::min(used, (now - tick) * per_second);
      tick = now;
      if (used + count * kTicksPerSecond > burst * kTicksPerSecond) return false;
      used += count * kTicksPerSecond;
      return true;
    }
  };
  Bucket control_;
  Bucket messages_;
};

}  // namespace pronghorn::worker
