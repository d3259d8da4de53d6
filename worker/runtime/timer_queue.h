// All timers of one loop: a binary heap of Timer objects, which live in the frames of their coroutines, and one
// uv_timer armed for the earliest. Arming and cancelling are O(log n) and allocate only to grow the heap.
//
// Context: the loop's thread.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstddef>
#include <vector>

#include "common/uv_ptr.h"
#include "pronghorn/task.h"
#include "pronghorn/timer.h"

namespace pronghorn::detail {

class TimerQueue {
 public:
  explicit TimerQueue(uv_loop_t* loop);
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;
  // The timers that are left never expire. The loop must turn once more to free the handle.
  ~TimerQueue();

  // Queues `timer` for timer.due_. It must not be queued already.
  void insert(Timer& timer);
  // Removes a queued timer.
  void remove(Timer& timer) noexcept;

 private:
  void expire();
  void rearm() noexcept;
  void place(std::size_t index, Timer* timer) noexcept;
  void sift_up(std::size_t index) noexcept;
  void sift_down(std::size_t index) noexcept;

  std::vector<Timer*> heap_;  // heap_[0] is due first; Timer::position_ is the index plus 1
  UvPtr<uv_timer_t> handle_;
  std::chrono::steady_clock::time_point armed_for_ = std::chrono::steady_clock::time_point::max();
};

}  // namespace pronghorn::detail
