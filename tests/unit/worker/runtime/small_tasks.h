// Small coroutines for tests of tasks.
#pragma once

#include <chrono>
#include <coroutine>
#include <stdexcept>
#include <string>
#include <utility>

#include "pronghorn/task.h"
#include "pronghorn/timer.h"

namespace pronghorn::test {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Counts its live instances.
struct Witness {
  explicit Witness(int& count) : live(&count) { ++*live; }
  Witness(Witness&& other) noexcept : live(std::exchange(other.live, nullptr)) {}
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  Witness& operator=(Witness&&) = delete;
  ~Witness() {
    if (live) --*live;
  }
  int* live;
};

inline Task<int> value(int number) { co_return number; }
inline Task<int> later(int number, std::chrono::milliseconds delay) {
  co_await sleep_for(delay);
  co_return number;
}
inline Task<void> nothing_later(std::chrono::milliseconds delay) { co_await sleep_for(delay); }
inline Task<int> failing(std::string message) {
  co_await sleep_for(1ms);
  throw std::runtime_error(message);
}
inline Task<int> failing_at_once(std::string message) {
  throw std::runtime_error(message);
  co_return 0;
}
inline Task<int> witnessed(int& live, std::chrono::milliseconds delay) {
  const Witness witness(live);
  co_await sleep_for(delay);
  co_return 1;
}

// Suspends a coroutine until the test opens it.
struct Gate {
  std::coroutine_handle<> waiting;
  bool ready = false;

  [[nodiscard]] bool await_ready() const noexcept { return ready; }
  void await_suspend(std::coroutine_handle<> handle) noexcept { waiting = handle; }
  void await_resume() const noexcept {}
  void open() {
    ready = true;
    if (waiting) std::exchange(waiting, nullptr).resume();
  }
};

inline Task<int> through(Gate& gate, int number) {
  co_await gate;
  co_return number;
}

}  // namespace pronghorn::test
