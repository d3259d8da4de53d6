// How many workers there should be: bookkeeping without I/O. The time is passed in.
#pragma once

#include <cstdint>
#include <vector>

namespace pronghorn::supervisor {

// Keeps the loops of the workers near 70 % busy: eager to add workers, patient to remove them.
class Autoscaler {
 public:
  static constexpr double kTarget = 0.70;
  static constexpr double kLow = 0.35;
  static constexpr std::uint64_t kOutAfterMs = 2'000;  // busier than the target for so long
  static constexpr std::uint64_t kInAfterMs = 60'000;  // below kLow for so long; then one worker goes

  // Equal numbers: it never changes anything. Starts the waiting times anew.
  void set_bounds(std::uint32_t fewest, std::uint32_t most) noexcept;
  [[nodiscard]] bool active() const noexcept { return fewest_ < most_; }

  // Once a second: the utilisation (0 to 1) of each worker that is ready, and how many workers are wanted now, ready or
  // not. Returns how many should be. Workers that still boot are not capacity, but while they boot no more are added
  // for the load that they were started for.
  [[nodiscard]] std::uint32_t update(const std::vector<double>& utilisation, std::uint32_t wanted,
                                     std::uint64_t now_ms) noexcept;

 private:
  std::uint32_t fewest_ = 1;
  std::uint32_t most_ = 1;
  std::uint64_t high_since_ = 0;  // 0: it is not
  std::uint64_t low_since_ = 0;
};

}  // namespace pronghorn::supervisor
