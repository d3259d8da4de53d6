// Tells the scoreboard that the loop turns: the stamp that the supervisor's watchdog reads, idle time and lag.
//
// Context: loop thread of a worker.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstdint>

#include "common/scoreboard.h"

namespace pronghorn::worker {

class Heartbeat {
 public:
  // Beats at least four times in `worker_timeout`, and once every 250 ms.
  Heartbeat(uv_loop_t* loop, WorkerRow& row, std::chrono::milliseconds worker_timeout);
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;
  ~Heartbeat();

 private:
  void beat() noexcept;

  uv_loop_t* loop_;
  WorkerRow& row_;
  std::uint64_t period_ms_;
  std::uint64_t due_ms_;
  std::uint64_t worst_lag_us_ = 0;  // of the current second
  std::uint64_t second_began_ms_ = 0;
  uv_timer_t* timer_;
  uv_check_t* check_;
};

}  // namespace pronghorn::worker
