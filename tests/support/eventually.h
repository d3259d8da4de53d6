// Waits for a condition instead of a fixed time.
#pragma once

#include <chrono>
#include <concepts>
#include <thread>

namespace pronghorn::test {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Evaluates `condition` every `pause`, at least once. Returns true as soon as it holds, false if it does not by
// `deadline`.
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
