// All workers as one: the scoreboard's rows added up, for everything that reports.
//
// A slot has two rows (see common/ipc/scoreboard.h). Its counters are the sum of both, of all the workers that ever
// wrote them, and of what the supervisor counted, so they never go down. Its gauges come from the living workers.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "common/ipc/scoreboard.h"

namespace pronghorn {

struct SlotSum {
  std::uint32_t slot = 0;
  bool listed = false;  // in use now: it counts as a worker, running or not
  bool alive = false;   // a worker runs in it

  CounterSums counters;
  LatencyHistogram::Sum latency;
  RedisState redis_state = RedisState::off;  // of the current worker

  [[nodiscard]] std::uint64_t operator[](Count count) const noexcept { return counters[count]; }
};

struct RouteSum {
  std::string route;
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
  RouteHistogram::Sum latency;
};

// Every slot that was ever used, by number. Rows that nobody wrote are not touched: reading them would take memory.
[[nodiscard]] std::vector<SlotSum> sum_slots(const Scoreboard& board);

// The counters, gauges and latencies of all slots.
[[nodiscard]] SlotSum sum_all(const std::vector<SlotSum>& slots);

// Every route of every worker, by name; those with most requests first.
[[nodiscard]] std::vector<RouteSum> sum_routes(const Scoreboard& board);

// The row belongs to a worker that runs now, as the supervisor sees it.
[[nodiscard]] bool is_live(const SlotRow& slot, const WorkerRow& row) noexcept;

// Up when a ready worker has a connection; else the best that any worker says: connecting, down, off.
[[nodiscard]] RedisState fleet_redis_state(const Scoreboard& board) noexcept;

struct Readiness {
  bool started = false;  // the application runs: of this worker, or of at least one
  bool redis = false;    // reachable, or not needed
  bool draining = false;
  [[nodiscard]] bool ready() const noexcept { return started && redis && !draining; }
};

// For the admin process, which has neither an application nor a connection to Redis of its own.
[[nodiscard]] Readiness fleet_readiness(const Scoreboard& board);

}  // namespace pronghorn
