// Records what happened in the last hour, for the charts of the status page and /status?history=1h.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <vector>

#include "common/ipc/scoreboard.h"

namespace pronghorn::supervisor {

// One sample of the history outside of the scoreboard; the members are those of HistorySample.
struct HistoryPoint {
  std::uint64_t at = 0;
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;
  std::uint64_t restarts = 0;
  std::uint64_t p50_us = 0;
  std::uint64_t p99_us = 0;
};

// The samples of a ring, oldest first.
[[nodiscard]] std::vector<HistoryPoint> points_of(const HistoryRing& ring);
// Fills an empty ring with the last kHistorySamples of these, oldest first: after an upgrade, when the new program has
// a new scoreboard because the old one's layout is another.
void restore(HistoryRing& ring, const std::vector<HistoryPoint>& points);

class History {
 public:
  // `board` must outlive this. Its ring may hold samples of an earlier image of this program.
  explicit History(Scoreboard& board) : board_(board) {}

  // Call once a second, with the monotonic time in milliseconds and the time since 1970 in seconds. Writes a sample
  // every kHistoryIntervalMs.
  void tick(std::uint64_t now, std::uint64_t at);

 private:
  struct Totals {
    std::uint64_t requests = 0;
    std::uint64_t errors = 0;
    std::uint64_t restarts = 0;
    LatencyHistogram::Sum latency;
  };

  [[nodiscard]] Totals totals() const;

  Scoreboard& board_;
  Totals last_;
  std::uint64_t last_ms_ = 0;  // of the last sample; 0: none yet
};

}  // namespace pronghorn::supervisor
