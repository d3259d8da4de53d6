// Coroutines that wait for the same thing.
#pragma once

#include <coroutine>
#include <optional>

#include "pronghorn/timer.h"

namespace pronghorn::worker {

// Context: loop thread. Must outlive the coroutines that wait.
class WaitingList {
 public:
  class Wait;

  WaitingList() = default;
  WaitingList(const WaitingList&) = delete;
  WaitingList& operator=(const WaitingList&) = delete;
  ~WaitingList() = default;

  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  // co_await it: resumes when the list is woken. A coroutine that is destroyed meanwhile is not resumed.
  [[nodiscard]] Wait wait() noexcept;

  // The loop resumes all of them in its next turn: for callers that must not run coroutines, which may do anything.
  void wake_all();
  // Resumes all of them now. They may destroy each other, and this list.
  void resume_all();

 private:
  Wait* first_ = nullptr;
};

class WaitingList::Wait {
 public:
  explicit Wait(WaitingList& list) noexcept : list_(list) {}
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;
  ~Wait() { leave(); }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) noexcept;
  void await_resume() const noexcept {}

 private:
  friend class WaitingList;
  void leave() noexcept;

  WaitingList& list_;
  std::coroutine_handle<> waiting_;
  Wait* next_ = nullptr;
  Wait** link_ = nullptr;  // what points to this one; null: in no list
  std::optional<pronghorn::detail::Timer> timer_;
};

inline WaitingList::Wait WaitingList::wait() noexcept { return Wait(*this); }

}  // namespace pronghorn::worker
