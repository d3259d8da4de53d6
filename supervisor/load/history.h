// Records what happened in the last hour, for the charts of the status page and /status?history=1h.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>

#include "common/ipc/scoreboard.h"

namespace pronghorn::supervisor {

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
