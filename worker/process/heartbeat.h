// Reports the loop's progress to the scoreboard: the stamp that the supervisor's watchdog reads, idle time, lag, stalls
// and, once per second, figures of the process.
//
// Context: loop thread of a worker.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

#include "common/ipc/scoreboard.h"
#include "common/uv_ptr.h"

namespace pronghorn::worker {

class Heartbeat {
 public:
  // Beats at least four times per `worker_timeout`, and every 250 ms. Code that blocks the loop for `stall_threshold`
  // (0: disabled) is a stall: it is counted and, if the supervisor has asked for the stack meanwhile
  // (worker/process/crash/crash_handler.h), logged with its duration. `loop` and `row` must outlive this.
  Heartbeat(uv_loop_t* loop, WorkerRow& row, std::chrono::milliseconds worker_timeout,
            std::chrono::milliseconds stall_threshold);
  // No loop runs any more: whatever takes long from here on is no stall.
  ~Heartbeat() { row_.waiting.store(1, std::memory_order_relaxed); }
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  // Called when callbacks have kept the loop from waiting for events for 2 ms (by a clock that may be 10 ms late) or
  // longer, with the times at which that began and ended (monotonic).
  using LongTurn = std::function<void(std::uint64_t began_ms, std::uint64_t ended_ms)>;
  void on_long_turn(LongTurn callback) { long_turn_ = std::move(callback); }

 private:
  void beat() noexcept;
  void look_at_turn() noexcept;
  void turn_was_long() noexcept;
  void tell_stall() noexcept;
  void record_process() noexcept;

  uv_loop_t* loop_;
  WorkerRow& row_;
  std::uint64_t period_ms_;
  std::uint64_t due_ms_;
  std::uint64_t counted_idle_us_ = 0;
  std::uint64_t worst_lag_us_ = 0;  // of the current second
  std::uint64_t second_began_ms_ = 0;
  std::uint64_t stall_ms_;         // 0: stalls are not counted
  std::uint32_t stacks_told_ = 0;  // of StallRecord::taken
  LongTurn long_turn_;
  UvPtr<uv_timer_t> timer_;
  UvPtr<uv_prepare_t> prepare_;
  UvPtr<uv_check_t> check_;
};

}  // namespace pronghorn::worker
