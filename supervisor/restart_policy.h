// When the next worker of a slot may start after one has exited.
#pragma once

#include <algorithm>
#include <chrono>

namespace pronghorn::supervisor {

// One per slot. Without I/O and without a clock.
class RestartPolicy {
 public:
  using Duration = std::chrono::milliseconds;

  static constexpr Duration kFirstDelay{100};
  static constexpr Duration kLongestDelay{30'000};
  static constexpr Duration kStable{60'000};  // ready for this long: earlier exits are forgotten
  static constexpr double kJitter = 0.2;

  // How long to wait after an exit. `ready_for`: how long the worker had been ready; negative when it never was.
  // `jitter` is a random number from -1 to 1, so that slots that failed together do not return together.
  //
  // The first exit of a worker that was ready costs no wait; a worker that never became ready always does.
  [[nodiscard]] Duration after_exit(Duration ready_for, double jitter) noexcept {
    if (ready_for >= kStable) exits_ = 0;
    if (exits_ == 0 && ready_for < Duration::zero()) exits_ = 1;
    const int doublings = std::min(exits_ - 1, 20);  // before exits_ grows for ever
    exits_ = std::min(exits_ + 1, 1'000);
    if (doublings < 0) return Duration::zero();
    const Duration delay = std::min(kFirstDelay * (1 << doublings), kLongestDelay);
    return Duration(static_cast<Duration::rep>(static_cast<double>(delay.count()) * (1.0 + kJitter * jitter)));
  }

  void forget() noexcept { exits_ = 0; }

 private:
  int exits_ = 0;
};

}  // namespace pronghorn::supervisor
