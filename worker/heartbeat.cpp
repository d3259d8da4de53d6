#include "worker/heartbeat.h"

#include <algorithm>

namespace pronghorn::worker {
namespace {

template <class Handle>
void close_handle(Handle* handle) {
  uv_close(reinterpret_cast<uv_handle_t*>(handle),
           [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
}

}  // namespace

Heartbeat::Heartbeat(uv_loop_t* loop, WorkerRow& row, std::chrono::milliseconds worker_timeout)
    : loop_(loop), row_(row), period_ms_(250), due_ms_(0), timer_(new uv_timer_t), check_(new uv_check_t) {
  if (worker_timeout.count() > 0) {
    period_ms_ = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(worker_timeout.count()) / 4, 10, 250);
  }
  uv_timer_init(loop, timer_);
  timer_->data = this;
  due_ms_ = monotonic_ms() + period_ms_;
  uv_timer_start(
      timer_, [](uv_timer_t* timer) { static_cast<Heartbeat*>(timer->data)->beat(); }, period_ms_, period_ms_);
  // Every turn of the loop stamps too: libuv has just read the clock, so that costs one store.
  uv_check_init(loop, check_);
  check_->data = this;
  uv_check_start(check_, [](uv_check_t* check) {
    auto* self = static_cast<Heartbeat*>(check->data);
    self->row_.stamp_ms.store(uv_now(self->loop_), std::memory_order_relaxed);
  });
  row_.stamp_ms.store(monotonic_ms(), std::memory_order_relaxed);
}

Heartbeat::~Heartbeat() {
  uv_timer_stop(timer_);
  uv_check_stop(check_);
  close_handle(timer_);
  close_handle(check_);
}

void Heartbeat::beat() noexcept {
  const std::uint64_t now = monotonic_ms();
  row_.stamp_ms.store(now, std::memory_order_relaxed);
  row_.loop_idle_us.store(uv_metrics_idle_time(loop_) / 1000, std::memory_order_relaxed);
  if (now > due_ms_) worst_lag_us_ = std::max(worst_lag_us_, (now - due_ms_) * 1000);
  due_ms_ = now + period_ms_;
  if (now - second_began_ms_ >= 1000) {
    second_began_ms_ = now;
    row_.loop_lag_us.store(worst_lag_us_, std::memory_order_relaxed);
    worst_lag_us_ = 0;
  }
}

}  // namespace pronghorn::worker
