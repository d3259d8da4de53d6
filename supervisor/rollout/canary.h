// The canary: the first worker of a new generation, which serves beside the old generation for a while and is compared
// with it, by the counters in the scoreboard.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <string>

#include "common/ipc/scoreboard.h"

namespace pronghorn::supervisor {

// What workers have answered within some time.
struct Figures {
  std::uint64_t requests = 0;
  std::uint64_t failed = 0;       // 5xx
  LatencyHistogram::Sum latency;  // microseconds

  void add(const WorkerRow& row) noexcept;
  // The difference to `before`, earlier figures of the same workers.
  [[nodiscard]] Figures since(const Figures& before) const noexcept;
};

// Fewer requests than this prove nothing.
inline constexpr std::uint64_t kEnoughForErrors = 20;
inline constexpr std::uint64_t kEnoughForLatency = 100;

// Why the canary is worse than the others; empty: it is not. It is worse when:
//  - 5xx: it has answered at least 20 requests, and the share that failed is more than one percentage point above the
//    others' and more than twice as large. Others that have answered fewer than 20 count as free of failures.
//  - p99: both have answered at least 100 requests, and its p99 is more than 1.5 times the others' and more than 10 ms
//    above it.
[[nodiscard]] std::string canary_verdict(const Figures& canary, const Figures& others);

// Collects the figures of a canary, and of the workers that it is compared with, since its construction.
class CanaryWatch {
 public:
  // The canary is the worker in row `row` of slot `slot`. It is compared with the other ones of slots 0 .. slots-1,
  // over the same time. With a single slot it is compared with `earlier`, what that slot has answered before. `board`
  // must outlive this.
  CanaryWatch(const Scoreboard& board, std::uint32_t slot, std::uint32_t row, std::uint32_t slots, Figures earlier);

  [[nodiscard]] Figures canary() const noexcept;
  [[nodiscard]] Figures others() const noexcept;

 private:
  [[nodiscard]] Figures sum_others() const noexcept;

  const Scoreboard& board_;
  std::uint32_t slot_;
  std::uint32_t row_;
  std::uint32_t slots_;
  Figures canary_before_;
  Figures others_before_;
  Figures earlier_;
};

// What all workers of the slot have ever answered.
[[nodiscard]] Figures figures_of_slot(const Scoreboard& board, std::uint32_t slot) noexcept;

}  // namespace pronghorn::supervisor
