// Waiting for a condition instead of for a time.
#pragma once

#include <chrono>
#include <concepts>
#include <thread>

namespace pronghorn::test {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// True as soon as `condition()` is; false when it is still not after `deadline`. Asks every `pause`, at least once.
template <std::predicate Condition>
[[nodiscard]] bool eventually(std::chrono::milliseconds deadline, Condition condition,
                              std::chrono::milliseconds pause = 5ms) {
  const auto end = Clock::now() + deadline;
  while (!condition()) {
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(pause);
  }
  return true;
}

}  // namespace pronghorn::test
