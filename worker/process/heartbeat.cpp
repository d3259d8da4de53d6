#include "worker/process/heartbeat.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "worker/process/descriptors.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint64_t kLongTurnMs = 2;

// Accurate to a few milliseconds, at a quarter of the exact clock's cost.
std::uint64_t coarse_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

}  // namespace

Heartbeat::Heartbeat(uv_loop_t* loop, WorkerRow& row, std::chrono::milliseconds worker_timeout,
                     std::chrono::milliseconds stall_threshold)
    : loop_(loop),
      row_(row),
      period_ms_(250),
      due_ms_(0),
      stall_ms_(static_cast<std::uint64_t>(std::max<std::int64_t>(stall_threshold.count(), 0))),
      timer_(new uv_timer_t),
      prepare_(new uv_prepare_t),
      check_(new uv_check_t) {
  if (worker_timeout.count() > 0) {
    period_ms_ = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(worker_timeout.count()) / 4, 10, 250);
  }
  uv_timer_init(loop, timer_.get());
  timer_->data = this;
  due_ms_ = monotonic_ms() + period_ms_;
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<Heartbeat*>(timer->data)->beat(); }, period_ms_, period_ms_);
  // Each turn of the loop stamps too. libuv has just read the clock, so that costs one store.
  uv_check_init(loop, check_.get());
  check_->data = this;
  uv_check_start(check_.get(), [](uv_check_t* check) {
    auto* self = static_cast<Heartbeat*>(check->data);
    self->row_.waiting.store(0, std::memory_order_relaxed);
    self->look_at_turn();
    self->row_.stamp_ms.store(uv_now(self->loop_), std::memory_order_relaxed);
  });
  uv_prepare_init(loop, prepare_.get());
  prepare_->data = this;
  uv_prepare_start(prepare_.get(), [](uv_prepare_t* prepare) {
    auto* self = static_cast<Heartbeat*>(prepare->data);
    self->look_at_turn();
    self->row_.waiting.store(1, std::memory_order_relaxed);
  });
  row_.stamp_ms.store(monotonic_ms(), std::memory_order_relaxed);
}

// libuv reads its clock after waiting and before running timers: the time since then was spent in callbacks.
void Heartbeat::look_at_turn() noexcept {
  if (coarse_ms() >= uv_now(loop_) + kLongTurnMs) [[unlikely]]
    turn_was_long();
}

void Heartbeat::turn_was_long() noexcept {
  const std::uint64_t began = uv_now(loop_);
  const std::uint64_t ended = monotonic_ms();
  if (long_turn_) long_turn_(began, ended);
  if (stall_ms_ != 0 && ended >= began + stall_ms_) tell_stall();
}

void Heartbeat::tell_stall() noexcept {
  add(row_[Count::stalls]);
  const std::uint64_t lasted = monotonic_ms() - uv_now(loop_);
  uv_update_time(loop_);  // or the next look would find the same stall
  const std::uint32_t taken = row_.stall.taken.load(std::memory_order_relaxed);
  if (taken == stacks_told_) return;
  stacks_told_ = taken;
  const std::string line = text_of(row_.stall.line);
  const bool known = row_.stall.id.number != 0;
  log_warning(fmt::format("the event loop was blocked for {} ms{}", lasted, known ? ", in " + line : ""),
              {{"request", id_of(row_.stall)}});
}

void Heartbeat::beat() noexcept {
  const std::uint64_t now = monotonic_ms();
  row_.stamp_ms.store(now, std::memory_order_relaxed);
  const std::uint64_t idle_us = uv_metrics_idle_time(loop_) / 1000;  // of this process; the row's value continues
  add(row_[Count::loop_idle], idle_us - counted_idle_us_);
  counted_idle_us_ = idle_us;
  if (now > due_ms_) worst_lag_us_ = std::max(worst_lag_us_, (now - due_ms_) * 1000);
  due_ms_ = now + period_ms_;
  if (now - second_began_ms_ >= 1000) {
    second_began_ms_ = now;
    row_[Count::loop_lag].store(worst_lag_us_, std::memory_order_relaxed);
    worst_lag_us_ = 0;
    record_process();
  }
}

// Figures of the process as a whole.
void Heartbeat::record_process() noexcept {
  flush_log();
  add(row_[Count::log_lines_dropped], take_dropped_log_lines());
  row_[Count::open_descriptors].store(open_descriptors(), std::memory_order_relaxed);
  row_[Count::descriptor_limit].store(descriptor_limit(), std::memory_order_relaxed);
}

}  // namespace pronghorn::worker
