// Waiting for a duration. Context and cancellation: see pronghorn/task.h.
#pragma once

#include <chrono>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <ratio>

#include "pronghorn/detail/export.h"
#include "pronghorn/task.h"

namespace pronghorn {
namespace detail {

class TimerQueue;  // worker/runtime/timer_queue.h

// An entry in the loop's timer queue. Lives in the frame of the waiting coroutine; destroying it cancels the timer.
class PRONGHORN_API Timer {
 public:
  explicit Timer(std::chrono::nanoseconds delay) noexcept : delay_(delay) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { cancel(); }

  // Calls expired(context) once, on the loop, after the delay. Replaces an earlier call that has not expired.
  void arm(void (*expired)(void*), void* context);
  void cancel() noexcept;

  [[nodiscard]] bool await_ready() const noexcept { return delay_.count() <= 0; }
  void await_suspend(std::coroutine_handle<> waiting) {
    arm([](void* frame) { std::coroutine_handle<>::from_address(frame).resume(); }, waiting.address());
  }
  void await_resume() const noexcept {}

 private:
  friend class TimerQueue;
  std::chrono::nanoseconds delay_;
  std::chrono::steady_clock::time_point due_{};
  void (*expired_)(void*) = nullptr;
  void* context_ = nullptr;
  std::size_t position_ = 0;  // in the queue's heap, counted from 1; 0: not queued
  TimerQueue* queue_ = nullptr;
};

}  // namespace detail

// co_await sleep_for(20ms) suspends for at least that long without blocking the loop. Zero or less does not suspend;
// the longest duration of any unit suspends for good. Resolution: 1 ms.
inline detail::Timer sleep_for(std::chrono::nanoseconds duration) noexcept { return detail::Timer(duration); }
template <class Rep, class Period>
  requires std::convertible_to<std::chrono::duration<Rep, Period>, std::chrono::nanoseconds>
detail::Timer sleep_for(std::chrono::duration<Rep, Period> duration) noexcept {
  using Hours = std::chrono::duration<double, std::ratio<3600>>;  // which no duration exceeds
  constexpr std::chrono::nanoseconds kLongest = std::chrono::nanoseconds::max();
  if (Hours(duration) >= Hours(kLongest)) return detail::Timer(kLongest);
  return detail::Timer(duration);
}

}  // namespace pronghorn
