// The canary: the first worker of a new generation, which serves beside the old generation for a while and is compared
// with it, by the counters in the scoreboard.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "common/ipc/scoreboard.h"

namespace pronghorn::supervisor {

// What workers have answered within some time.
struct Figures {
  std::uint64_t requests = 0;
  std::uint64_t failed = 0;       // 5xx, or cut
  std::uint64_t cut = 0;          // the server cut the response off
  std::uint64_t stalls = 0;       // times that the event loop was blocked for stall_threshold
  LatencyHistogram::Sum latency;  // microseconds
  std::uint64_t hung = 0;         // requests that were in flight during the whole last second
  std::uint64_t silent_ms = 0;    // since when requests have been in flight and none was answered; 0: they are
  std::uint64_t stuck_ms = 0;     // for how long the event loop has been blocked, at least kStuckMs; 0: it is not

  void add(const WorkerRow& row) noexcept;
  // The difference to `before`, earlier figures of the same workers. What is not counted by workers is 0.
  [[nodiscard]] Figures since(const Figures& before) const noexcept;
};

// Fewer requests than this prove nothing.
inline constexpr std::uint64_t kEnoughForErrors = 20;
inline constexpr std::uint64_t kEnoughForLatency = 100;
inline constexpr std::uint64_t kEnoughStalls = 3;

// Why the canary is worse than the others; empty: it is not. It is worse when:
//  - 5xx: it has answered at least 20 requests, and the share that failed is more than one percentage point above the
//    others' and more than twice as large. Others that have answered fewer than 20 count as free of failures.
//  - No answers: of at least 20 requests, the share that hangs is more than ten percentage points above twice the
//    others'. Or it has answered nothing for at least a second, and for longer than 1.5 times the others' p99, while
//    requests were in flight and the others did answer.
//  - Stuck: its event loop is blocked for kStuckMs, and for longer than 1.5 times the others' p99, while one of the
//    others turns.
//  - Blocked: at least 3 requests have blocked its event loop for stall_threshold, and the share that did is more than
//    ten percentage points above twice the others'.
//  - p99: both have answered at least 100 requests, and its p99 is more than 1.5 times the others' and more than 10 ms
//    above it.
[[nodiscard]] std::string canary_verdict(const Figures& canary, const Figures& others);

// Whether the verdict need not wait for the end of the canary's time: it has answered at least 20 requests and failed
// at least half of them, or its event loop is stuck.
[[nodiscard]] bool fails_badly(const Figures& canary) noexcept;

// The worker that is watched.
struct CanaryPlace {
  int pid = 0;
  std::uint32_t slot = 0;
  std::uint32_t row = 0;
};

// Collects the figures of a canary, and of the workers that it is compared with, since its construction.
class CanaryWatch {
 public:
  static constexpr std::uint64_t kLookMs = 100;

  // The canary is compared with the other ones of slots 0 .. slots-1, over the same time. With a single slot it is
  // compared with `earlier`, what that slot has answered before. `board` must outlive this.
  CanaryWatch(const Scoreboard& board, CanaryPlace canary, std::uint32_t slots, Figures earlier);

  // Call every kLookMs with the current time (monotonic milliseconds): hanging requests are found by looking.
  void look(std::uint64_t now);
  [[nodiscard]] Figures canary() const noexcept;
  [[nodiscard]] Figures others() const noexcept;
  [[nodiscard]] int pid() const noexcept { return place_.pid; }

 private:
  // Finds requests that hang, from repeated looks at the counters.
  class Progress {
   public:
    void look(std::uint64_t requests, std::uint64_t in_flight, std::uint64_t now);
    void fill(Figures& figures) const noexcept;

   private:
    struct Sample {
      std::uint64_t at;
      std::uint64_t in_flight;
    };
    std::deque<Sample> samples_;  // of the last second, and the one before
    std::uint64_t requests_ = 0;
    std::uint64_t silent_since_ = 0;
    std::uint64_t now_ = 0;
  };

  [[nodiscard]] Figures sum_others() const noexcept;
  [[nodiscard]] std::uint64_t others_in_flight() const noexcept;
  [[nodiscard]] std::uint64_t others_stuck_ms(std::uint64_t now) const noexcept;
  template <class Function>
  void for_each_other(Function function) const;

  const Scoreboard& board_;
  CanaryPlace place_;
  std::uint32_t slots_;
  Figures canary_before_;
  Figures others_before_;
  Figures earlier_;
  Progress canary_progress_;
  Progress others_progress_;
  std::uint64_t last_look_ms_ = 0;
  std::uint64_t canary_stuck_ms_ = 0;
  std::uint64_t others_stuck_ms_ = 0;
};

// What all workers of the slot have ever answered.
[[nodiscard]] Figures figures_of_slot(const Scoreboard& board, std::uint32_t slot) noexcept;

}  // namespace pronghorn::supervisor
