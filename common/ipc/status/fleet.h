// Figures of all workers together: the rows of the scoreboard added up, for every report.
//
// A slot has several rows (see common/ipc/scoreboard.h). Its counters are the sum of them, of all the workers that ever
// wrote them, and of what the supervisor counted, so they never go down. Its gauges come from the living workers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/ipc/scoreboard.h"

namespace pronghorn {

struct SlotSum {
  std::uint32_t slot = 0;
  bool listed = false;  // in use now, with or without a worker
  bool alive = false;   // it has a worker

  CounterSums counters;
  LatencyHistogram::Sum latency;
  RedisState redis_state = RedisState::off;  // of the current worker
  std::uint64_t overloaded_since_at = 0;  // seconds since 1970: of the worker that has been overloaded longest; 0: none

  [[nodiscard]] std::uint64_t operator[](Count count) const noexcept { return counters[count]; }
};

// The WebSockets of a route.
struct SocketSum {
  std::uint64_t open = 0;    // gauge
  std::uint64_t queued = 0;  // gauge: bytes that wait for clients
  std::uint64_t messages_in = 0;
  std::uint64_t messages_out = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t skipped = 0;
};

struct RouteSum {
  std::string route;
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
  RouteHistogram::Sum latency;
  std::optional<SocketSum> sockets;  // of a route of WebSockets
};

// Every slot that was ever used, by number. Does not touch rows that nobody wrote: reading them would allocate memory.
[[nodiscard]] std::vector<SlotSum> sum_slots(const Scoreboard& board);

// The same of the slots of job workers.
[[nodiscard]] std::vector<SlotSum> sum_job_slots(const Scoreboard& board);

// The counters, gauges and latencies of all slots, those of job workers too, and what the supervisor and the distributor count of no slot.
[[nodiscard]] SlotSum sum_all(const Scoreboard& board, const std::vector<SlotSum>& slots);

// Every route of every worker, by name; the busiest first.
[[nodiscard]] std::vector<RouteSum> sum_routes(const Scoreboard& board);

// Whether the row belongs to a worker that runs now, as the supervisor sees it.
[[nodiscard]] bool is_live(const SlotRow& slot, const WorkerRow& row) noexcept;

// The server's connection to Redis: that of a ready worker if any is up, else the best state that a worker reports.
struct FleetRedis {
  RedisState state = RedisState::off;
  std::uint64_t since_at = 0;  // seconds since 1970; 0: unknown
  std::string error;           // why it is not up
};
[[nodiscard]] FleetRedis fleet_redis(const Scoreboard& board);

struct Readiness {
  bool started = false;  // the application runs: in this worker, or in at least one
  bool redis = false;    // reachable, or not required
  bool draining = false;
  bool stuck = false;  // no ready worker's loop turns; see stuck_seconds()
  [[nodiscard]] bool ready() const noexcept { return started && redis && !draining && !stuck; }
};

// Of the whole server, for the admin process: it has neither an application nor a connection to Redis of its own.
[[nodiscard]] Readiness fleet_readiness(const Scoreboard& board);

// Whether a distributor accepts for the workers, or did until it ended.
[[nodiscard]] bool has_distributor(const Scoreboard& board) noexcept;

// What distributors and the supervisor count of them: pauses of accepting, restarts, dropped log lines. What they
// accept is counted by the workers.
[[nodiscard]] CounterSums distributor_counters(const Scoreboard& board) noexcept;

}  // namespace pronghorn
