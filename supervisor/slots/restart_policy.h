// How long a slot waits after an exit before it starts its next worker.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace pronghorn::supervisor {

// Exits of a slot with less than RestartPolicy::kStable between them.
struct ExitSeries {
  std::uint32_t exits = 0;
  std::uint64_t began_ms = 0;  // of the first one
};

// One per slot. No I/O; the time is passed in (monotonic milliseconds).
class RestartPolicy {
 public:
  using Duration = std::chrono::milliseconds;

  static constexpr Duration kFirstDelay{100};
  static constexpr Duration kLongestDelay{30'000};
  static constexpr Duration kStable{60'000};  // ready for this long: earlier exits no longer count
  static constexpr double kJitter = 0.2;

  // Records an exit and returns the delay before the next start: none after the first exit of a worker that had become
  // ready, then kFirstDelay, doubled with each exit up to kLongestDelay. An exit before the worker became ready always
  // delays. `ready_for`: for how long the worker had been ready; negative: it never was. `jitter` is a random number
  // from -1 to 1; it changes the delay by up to kJitter, so that slots that failed together do not return together.
  [[nodiscard]] Duration after_exit(std::uint64_t now_ms, Duration ready_for, double jitter) noexcept {
    if (ready_for >= kStable) forget();
    if (series_.exits == 0) series_.began_ms = now_ms;
    ++series_.exits;
    if (steps_ == 0 && ready_for < Duration::zero()) steps_ = 1;
    const int doublings = std::min(steps_ - 1, 20);  // 1 << 20 is far above kLongestDelay
    steps_ = std::min(steps_ + 1, 1'000);
    if (doublings < 0) return Duration::zero();
    const Duration delay = std::min(kFirstDelay * (1 << doublings), kLongestDelay);
    return Duration(static_cast<Duration::rep>(static_cast<double>(delay.count()) * (1.0 + kJitter * jitter)));
  }

  void forget() noexcept { *this = {}; }
  // The exits that the last delay is for.
  [[nodiscard]] ExitSeries series() const noexcept { return series_; }

 private:
  int steps_ = 0;  // of the backoff
  ExitSeries series_;
};

}  // namespace pronghorn::supervisor
