// The parts of /status that common/ipc/status/status.cpp puts together: one worker, counters, latencies.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "common/ipc/scoreboard.h"
#include "common/ipc/status/fleet.h"

namespace pronghorn {

[[nodiscard]] inline double milliseconds(std::uint64_t microseconds) noexcept {
  return static_cast<double>(microseconds) / 1000.0;
}

// Since a moment of monotonic_ms(); 0 if it is 0 or in the future.
[[nodiscard]] double seconds_since(std::uint64_t started_ms) noexcept;

template <class Sum>
[[nodiscard]] nlohmann::json latency_json(const Sum& latency) {
  return {{"p50", milliseconds(latency.percentile(0.50))},
          {"p90", milliseconds(latency.percentile(0.90))},
          {"p99", milliseconds(latency.percentile(0.99))},
          {"max", milliseconds(latency.max)}};
}

// Every counter at its path, and the latency: what each slot and the totals have in common.
[[nodiscard]] nlohmann::json counters_json(const SlotSum& sum);

// What accepts for the workers; null with the balances for which nothing does.
[[nodiscard]] nlohmann::json distributor_json(const Scoreboard& board);

// An entry of `workers`.
[[nodiscard]] nlohmann::json worker_json(const Scoreboard& board, const SlotSum& sum);

}  // namespace pronghorn
