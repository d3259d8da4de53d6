// Stage one of the watchdog: a loop that stands still for stall_threshold is asked for its stack, which is logged.
//
// Context: supervisor, main thread. The workers count their stalls themselves (worker/heartbeat.h); this is about why.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "supervisor/crash/symbolizer.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

// What a worker's row says at one moment.
struct LoopSight {
  std::uint64_t stamp_ms = 0;          // of the last turn
  bool busy = false;                   // something has the loop; else it waits for events
  std::uint64_t running_since_ms = 0;  // start of the request whose code has the loop; 0: none
};
[[nodiscard]] LoopSight sight_of(const WorkerRow& row) noexcept;

// Since when a loop has been busy without a turn, from what was seen of it. Without I/O; unit-tested.
class BusyLoop {
 public:
  // Returns for how many milliseconds it has stood still for certain; 0: it does not. A loop that has waited long
  // before it got busy has an old stamp, too, so a stamp alone says nothing.
  std::uint64_t see(const LoopSight& sight, std::uint64_t now) noexcept;
  // The first call for one stall is true, the others are false.
  [[nodiscard]] bool first() noexcept { return !std::exchange(noticed_, true); }

 private:
  std::uint64_t stamp_ms_ = 0;
  std::uint64_t since_ms_ = 0;  // 0: it was not busy
  bool noticed_ = false;
};

class StallWatch {
 public:
  // All outlive this.
  StallWatch(const Workers& workers, Scoreboard& board, Children& children, Symbolizer& symbolizer)
      : workers_(workers), board_(board), children_(children), symbolizer_(symbolizer) {}

  // How often to look for stalls of `threshold`.
  [[nodiscard]] static Milliseconds period(Milliseconds threshold) noexcept;
  void look(std::uint64_t now);

 private:
  static constexpr std::uint64_t kBetweenStacksMs = 10'000;  // of one worker: its signal can interrupt system calls
  static constexpr std::uint64_t kAnswerMs = 1'000;

  struct Watched {
    BusyLoop loop;
    std::uint64_t asked_ms = 0;  // 0: never
    std::uint64_t lasted_ms = 0;
    std::uint32_t taken = 0;  // StallRecord::taken before it was asked
    bool waits = false;       // for the stack
  };

  void look_at(const WorkerEntry& worker, Watched& watched, std::uint64_t threshold, std::uint64_t now);
  void tell(const WorkerEntry& worker, const Watched& watched, bool answered);

  const Workers& workers_;
  Scoreboard& board_;
  Children& children_;
  Symbolizer& symbolizer_;
  std::unordered_map<int, Watched> watched_;  // by pid
};

}  // namespace pronghorn::supervisor
