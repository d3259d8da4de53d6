// How long to wait before the next attempt to connect.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace pronghorn::worker {

// 50 ms at first, doubled after each attempt up to 5 s. Half of it is random, so that the workers of a server do not
// reconnect in the same moment.
class Backoff {
 public:
  [[nodiscard]] std::chrono::milliseconds next() {
    std::uniform_int_distribution<std::chrono::milliseconds::rep> half(wait_.count() / 2, wait_.count());
    wait_ = std::min(wait_ * 2, kLongest);
    return std::chrono::milliseconds(half(random_));
  }
  void reset() noexcept { wait_ = kFirst; }

 private:
  static constexpr std::chrono::milliseconds kFirst{50};
  static constexpr std::chrono::milliseconds kLongest{5'000};

  std::chrono::milliseconds wait_ = kFirst;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace pronghorn::worker
