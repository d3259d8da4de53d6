// Waits for a condition instead of a fixed time.
#pragma once

#include <chrono>
#include <concepts>
#include <thread>
#include <utility>

namespace pronghorn::test {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Evaluates `condition` every `pause`, at least once. Returns true as soon as it holds, false if it does not within
// exactly this time.
template <std::predicate Condition>
[[nodiscard]] bool within(std::chrono::milliseconds time, Condition condition, std::chrono::milliseconds pause = 5ms) {
  const auto end = Clock::now() + time;
  while (!condition()) {
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(pause);
  }
  return true;
}

// As `within`, where the time is what a calm machine needs at most. One that is busy with other tests and a compiler
// gets three times as much: a test tells whether something happens, not how fast.
template <std::predicate Condition>
[[nodiscard]] bool eventually(std::chrono::milliseconds time, Condition condition,
                              std::chrono::milliseconds pause = 5ms) {
  return within(3 * time, std::move(condition), pause);
}

}  // namespace pronghorn::test
