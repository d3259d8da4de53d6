// Computes how many workers the load needs. No I/O; the time is passed in (monotonic milliseconds).
#pragma once

#include <cstdint>
#include <vector>

namespace pronghorn::supervisor {

// Keeps the workers' loops about 70 % busy. Adds workers soon and removes them late.
class Autoscaler {
 public:
  static constexpr double kTarget = 0.70;
  static constexpr double kLow = 0.35;
  static constexpr std::uint64_t kOutAfterMs = 2'000;  // above kTarget for this long: adds workers
  static constexpr std::uint64_t kInAfterMs = 60'000;  // below kLow for this long: removes one worker

  // Sets the bounds and restarts the waiting times. Equal numbers switch the autoscaler off.
  void set_bounds(std::uint32_t fewest, std::uint32_t most) noexcept;
  [[nodiscard]] bool active() const noexcept { return fewest_ < most_; }

  // Call once a second, with the utilisation (0 to 1) of each ready worker and the number of workers wanted now.
  // Returns the number that should be wanted. Workers that are still starting do not count as capacity, but no more are
  // added for the load that they were started for.
  [[nodiscard]] std::uint32_t update(const std::vector<double>& utilisation, std::uint32_t wanted,
                                     std::uint64_t now_ms) noexcept;

 private:
  std::uint32_t fewest_ = 1;
  std::uint32_t most_ = 1;
  std::uint64_t high_since_ = 0;  // 0: not high
  std::uint64_t low_since_ = 0;   // 0: not low
};

}  // namespace pronghorn::supervisor
