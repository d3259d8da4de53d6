#include "worker/state/cache/fill_wait.h"

#include <algorithm>

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestPause{100};

}  // namespace

void FillWait::suspend(std::coroutine_handle<> waiting, milliseconds longest) {
  waiting_ = waiting;
  if (subscription_.active()) return resume_after(longest);
  resume_after(std::min(pause_, longest));
  pause_ = std::min(pause_ * 3 / 2, kLongestPause);
}

// Listeners must not run coroutines, which may do anything: the loop resumes this one.
void FillWait::wake() {
  told_ = true;
  if (waiting_) resume_after(milliseconds(0));
}

void FillWait::resume_after(milliseconds delay) {
  timer_.emplace(delay);
  timer_->arm([](void* wait) { std::exchange(static_cast<FillWait*>(wait)->waiting_, nullptr).resume(); }, this);
}

}  // namespace pronghorn::worker
