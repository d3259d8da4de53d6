// Finds workers whose loop is blocked. After stall_threshold, asks the worker for its stack and logs that. After
// kCoverAfterMs, reports the worker as blocked, so that others accept from its listeners (Covers).
//
// Workers count their stalls themselves (worker/process/heartbeat.h).
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <set>
#include <unordered_map>
#include <utility>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "supervisor/crash/stack/symbolizer.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

// What a worker's row says at one moment; times are monotonic milliseconds.
struct LoopSight {
  std::uint64_t stamp_ms = 0;          // of the last turn
  bool busy = false;                   // a callback runs; otherwise the loop waits for events
  std::uint64_t running_since_ms = 0;  // start of the request that is running; 0: none
};
[[nodiscard]] LoopSight sight_of(const WorkerRow& row) noexcept;

// How long a loop has been busy without a turn, from repeated looks at its row. No I/O.
class BusyLoop {
 public:
  // Returns for how many milliseconds the loop has certainly been blocked; 0: it is not. The age of its stamp alone
  // does not tell: a loop that waited for events for a long time, and just became busy, has an old stamp too.
  std::uint64_t see(const LoopSight& sight, std::uint64_t now) noexcept;
  // True in the first call for each stall.
  [[nodiscard]] bool first() noexcept { return !std::exchange(noticed_, true); }

 private:
  std::uint64_t stamp_ms_ = 0;
  std::uint64_t since_ms_ = 0;  // 0: not busy
  bool noticed_ = false;
};

class StallWatch {
 public:
  // A worker that has been blocked for this long is covered.
  static constexpr std::uint64_t kCoverAfterMs = 200;

  // All must outlive this.
  StallWatch(const Workers& workers, Scoreboard& board, Children& children, Symbolizer& symbolizer)
      : workers_(workers), board_(board), children_(children), symbolizer_(symbolizer) {}

  // How often to call look() for stalls of `threshold`; zero: stacks are not asked for.
  [[nodiscard]] static Milliseconds period(Milliseconds threshold) noexcept;
  // Returns the ready workers whose loops have been blocked for kCoverAfterMs.
  std::set<int> look(std::uint64_t now);

 private:
  static constexpr std::uint64_t kBetweenStacksMs = 10'000;  // of one worker: the signal can interrupt system calls
  static constexpr std::uint64_t kAnswerMs = 1'000;

  struct Watched {
    BusyLoop loop;
    std::uint64_t asked_ms = 0;  // 0: never
    std::uint64_t lasted_ms = 0;
    std::uint32_t taken = 0;  // StallRecord::taken before it was asked
    bool waits = false;       // for the answer
  };

  // A loop that waits for events turns at least four times a second. One without a turn for this long is stopped by a
  // signal, or gets no CPU.
  static constexpr std::uint64_t kSilentMs = 500;

  void ask_for_stack(const WorkerEntry& worker, Watched& watched, std::uint64_t lasted, std::uint64_t threshold,
                     std::uint64_t now);
  void tell(const WorkerEntry& worker, const Watched& watched, bool answered);

  const Workers& workers_;
  Scoreboard& board_;
  Children& children_;
  Symbolizer& symbolizer_;
  std::unordered_map<int, Watched> watched_;  // by pid
};

}  // namespace pronghorn::supervisor
