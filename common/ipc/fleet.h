// All workers as one: the scoreboard's rows added up, for everything that reports.
//
// A slot has two rows (see common/ipc/scoreboard.h). Counters are those of both, whoever wrote them, so they never go
// down; gauges are those of the workers that live now.
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

  std::uint64_t requests = 0;
  std::array<std::uint64_t, 5> responses{};  // [0] is 1xx
  std::uint64_t accepted = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t bad_requests = 0;
  std::uint64_t timeouts = 0;
  std::uint64_t handler_errors = 0;
  std::uint64_t shed = 0;
  std::array<std::uint64_t, kLimits> limits{};  // by LimitHit
  std::uint64_t accept_pauses = 0;
  std::uint64_t limits_refused = 0;
  std::uint64_t limits_unavailable = 0;
  std::uint64_t quarantined = 0;
  std::uint64_t loop_idle_us = 0;
  std::uint64_t stalls = 0;
  std::uint64_t redis_commands = 0;
  std::uint64_t redis_errors = 0;
  LatencyHistogram::Sum latency;

  std::uint64_t connections = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t loop_lag_us = 0;             // the worse of the two
  RedisState redis_state = RedisState::off;  // of the current worker
  std::uint64_t redis_latency_us = 0;        // of the current worker
};

struct RouteSum {
  std::string route;
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
  RouteHistogram::Sum latency;
};

// Every slot that was ever used, by number. Rows that nobody wrote are not touched: reading them would take memory.
[[nodiscard]] std::vector<SlotSum> sum_slots(const Scoreboard& board);

// The counters, latencies, connections and requests in flight of all slots.
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
