#include "pronghorn/timer.h"

#include "worker/runtime/runtime.h"
#include "worker/runtime/timer_queue.h"

namespace pronghorn::detail {

void Timer::arm(void (*expired)(void*), void* context) {
  cancel();
  expired_ = expired;
  context_ = context;
  const std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now();
  const auto longest = std::chrono::steady_clock::time_point::max() - now;
  due_ = delay_ < longest ? now + delay_ : std::chrono::steady_clock::time_point::max() - std::chrono::hours(1);
  worker::Runtime::current().timers_->insert(*this);
}

void Timer::cancel() noexcept {
  if (queue_) queue_->remove(*this);
}

}  // namespace pronghorn::detail
