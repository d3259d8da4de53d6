// The canary: the first worker of a new generation, which serves beside the old generation for a while and is compared
// with it.
//
// Context: supervisor, main thread. What is compared are counters that the scoreboard has anyway; requests cost nothing
// more.
#pragma once

#include <cstdint>
#include <string>

#include "common/ipc/scoreboard.h"

namespace pronghorn::supervisor {

// What workers answered within some time.
struct Figures {
  std::uint64_t requests = 0;
  std::uint64_t failed = 0;       // 5xx
  LatencyHistogram::Sum latency;  // microseconds

  void add(const WorkerRow& row) noexcept;
  // What came after `before`, of the same workers.
  [[nodiscard]] Figures since(const Figures& before) const noexcept;
};

// Too few requests to say anything: nothing is concluded from them.
inline constexpr std::uint64_t kEnoughForErrors = 20;
inline constexpr std::uint64_t kEnoughForLatency = 100;

// Empty, or why the canary is worse; the rule:
//  - 5xx: it has answered at least 20 requests, and the share that failed is more than one percentage point above the
//    others' and more than twice as large. Others that have answered fewer than 20 count as without failure.
//  - p99: both have answered at least 100 requests, and its p99 is more than 1.5 times the others' and more than 10 ms
//    above it.
[[nodiscard]] std::string canary_verdict(const Figures& canary, const Figures& others);

// The figures of one canary and of those that it is compared with, from the begin of its time to the end.
class CanaryWatch {
 public:
  // The canary is the worker in row `row` of slot `slot`. It is compared with the slots 0 .. `slots`-1 except its own,
  // over the same time. A server of one slot has no others: then with `earlier`, what that slot answered before.
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

// Both rows of a slot: whatever its workers have ever answered.
[[nodiscard]] Figures figures_of_slot(const Scoreboard& board, std::uint32_t slot) noexcept;

}  // namespace pronghorn::supervisor
