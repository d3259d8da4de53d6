#include "worker/runtime/timer_queue.h"

#include <algorithm>

#include "pronghorn/timer.h"

namespace pronghorn::detail {

using Clock = std::chrono::steady_clock;

TimerQueue::TimerQueue(uv_loop_t* loop) : handle_(make_uv<uv_timer_t>(loop, uv_timer_init, this)) {}

TimerQueue::~TimerQueue() {
  for (Timer* timer : heap_) {
    timer->position_ = 0;
    timer->queue_ = nullptr;
  }
}

void TimerQueue::insert(Timer& timer) {
  heap_.push_back(&timer);
  timer.queue_ = this;
  place(heap_.size() - 1, &timer);
  sift_up(heap_.size() - 1);
  if (heap_.front() == &timer) rearm();
}

void TimerQueue::remove(Timer& timer) noexcept {
  const std::size_t index = timer.position_ - 1;
  timer.position_ = 0;
  timer.queue_ = nullptr;
  Timer* const last = heap_.back();
  heap_.pop_back();
  if (last != &timer) {
    place(index, last);
    sift_up(index);
    sift_down(last->position_ - 1);
  }
  // A handle that fires too early is harmless; one that is armed without timers would keep the loop alive.
  if (heap_.empty()) rearm();
}

void TimerQueue::place(std::size_t index, Timer* timer) noexcept {
  heap_[index] = timer;
  timer->position_ = index + 1;
}

void TimerQueue::sift_up(std::size_t index) noexcept {
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (heap_[parent]->due_ <= heap_[index]->due_) return;
    Timer* const timer = heap_[index];
    place(index, heap_[parent]);
    place(parent, timer);
    index = parent;
  }
}

void TimerQueue::sift_down(std::size_t index) noexcept {
  for (;;) {
    std::size_t child = index * 2 + 1;
    if (child >= heap_.size()) return;
    if (child + 1 < heap_.size() && heap_[child + 1]->due_ < heap_[child]->due_) ++child;
    if (heap_[index]->due_ <= heap_[child]->due_) return;
    Timer* const timer = heap_[index];
    place(index, heap_[child]);
    place(child, timer);
    index = child;
  }
}

// uv_timer counts whole milliseconds from the loop's cached time. Rounding the due time up to the next millisecond of
// the same clock ensures that the callback never runs early.
void TimerQueue::rearm() noexcept {
  if (heap_.empty()) {
    armed_for_ = Clock::time_point::max();
    uv_timer_stop(handle_.get());
    return;
  }
  const Clock::time_point due = heap_.front()->due_;
  if (due == armed_for_ && uv_is_active(reinterpret_cast<uv_handle_t*>(handle_.get())) != 0) return;
  armed_for_ = due;
  const auto due_ms = std::chrono::ceil<std::chrono::milliseconds>(due.time_since_epoch()).count();
  const auto now_ms = static_cast<std::int64_t>(uv_now(handle_->loop));
  uv_timer_start(
      handle_.get(), [](uv_timer_t* handle) { static_cast<TimerQueue*>(handle->data)->expire(); },
      static_cast<std::uint64_t>(std::max<std::int64_t>(due_ms - now_ms, 0)), 0);
}

void TimerQueue::expire() {
  // Timers armed by callbacks below are due later than this, so the loop ends.
  const Clock::time_point now = Clock::now();
  while (!heap_.empty() && heap_.front()->due_ <= now) {
    Timer& timer = *heap_.front();
    remove(timer);
    timer.expired_(timer.context_);  // may destroy the timer, and arm or cancel others
  }
  armed_for_ = Clock::time_point::max();
  rearm();
}

}  // namespace pronghorn::detail
