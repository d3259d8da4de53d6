#include "worker/runtime/waiting_list.h"

namespace pronghorn::worker {

void WaitingList::Wait::await_suspend(std::coroutine_handle<> waiting) noexcept {
  waiting_ = waiting;
  next_ = list_.first_;
  link_ = &list_.first_;
  if (next_ != nullptr) next_->link_ = &next_;
  list_.first_ = this;
}

void WaitingList::Wait::leave() noexcept {
  if (link_ == nullptr) return;
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  next_ = nullptr;
  link_ = nullptr;
}

// A timer each, because one that runs may destroy others.
void WaitingList::wake_all() {
  while (Wait* const wait = first_) {
    wait->leave();
    wait->timer_.emplace(std::chrono::nanoseconds(0));
    wait->timer_->arm([](void* frame) { std::coroutine_handle<>::from_address(frame).resume(); },
                      wait->waiting_.address());
  }
}

void WaitingList::resume_all() {
  WaitingList all;
  all.first_ = first_;
  if (first_ != nullptr) first_->link_ = &all.first_;
  first_ = nullptr;
  while (Wait* const wait = all.first_) {
    wait->leave();
    wait->waiting_.resume();
  }
}

}  // namespace pronghorn::worker
