// When the map of a cluster is fetched again.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pronghorn::worker {

// However many commands are redirected or fail, the map is fetched at most ten times a second, and once a second while
// nothing in it changes: a cluster in trouble must not get its workers' questions on top. No I/O, no clock.
class RefreshPacer {
 public:
  static constexpr std::uint64_t kShortestMs = 100;
  static constexpr std::uint64_t kLongestMs = 1'000;
  static constexpr std::uint64_t kCalmMs = 10'000;  // between two refreshes that nothing asked for

  // Something showed that the map may be old.
  void want() noexcept { wanted_ = true; }
  [[nodiscard]] bool wanted() const noexcept { return wanted_; }
  // When the next refresh may begin. `jitter` is from 0 to 255.
  [[nodiscard]] std::uint64_t due_ms(unsigned jitter) const noexcept {
    const std::uint64_t wait = wanted_ ? interval_ms_ : kCalmMs;
    return last_ms_ == 0 ? 0 : last_ms_ + wait + wait * jitter / 1024;
  }
  void began(std::uint64_t now_ms) noexcept {
    last_ms_ = now_ms;
    wanted_ = false;
  }
  void ended(bool changed) noexcept { interval_ms_ = changed ? kShortestMs : std::min(2 * interval_ms_, kLongestMs); }

 private:
  bool wanted_ = false;
  std::uint64_t last_ms_ = 0;
  std::uint64_t interval_ms_ = kShortestMs;
};

}  // namespace pronghorn::worker
