// All timers of one loop in one place: a binary heap of Timer objects that live in their coroutines' frames, and one
// uv_timer armed for the earliest. Arming and cancelling are O(log n) and allocate only when the heap has to grow.
//
// Context: the loop's thread.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstddef>
#include <vector>

#include "pronghorn/task.h"
#include "pronghorn/timer.h"

namespace pronghorn::detail {

class TimerQueue {
 public:
  // Throws std::runtime_error when the loop refuses the handle.
  explicit TimerQueue(uv_loop_t* loop);
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;
  // Forgets the timers that are left: they never expire. The loop must turn once more to free the handle.
  ~TimerQueue();

  // Queues `timer` until timer.due_. It must not be queued.
  void insert(Timer& timer);
  // Takes a queued timer out.
  void remove(Timer& timer) noexcept;

 private:
  void expire();
  void rearm() noexcept;
  void place(std::size_t index, Timer* timer) noexcept;
  void sift_up(std::size_t index) noexcept;
  void sift_down(std::size_t index) noexcept;

  std::vector<Timer*> heap_;  // heap_[0] is due first; Timer::position_ is the index plus 1
  uv_timer_t* handle_;        // freed by its close callback
  std::chrono::steady_clock::time_point armed_for_ = std::chrono::steady_clock::time_point::max();
};

}  // namespace pronghorn::detail
