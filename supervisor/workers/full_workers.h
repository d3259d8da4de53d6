// Finds workers that accept no more clients for now: they have as many connections as they may, or no descriptors left.
// Connections that others have handed over fill a worker too, and its own new clients must not wait for these to end.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <set>
#include <unordered_map>

#include "common/ipc/scoreboard.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

class FullWorkers {
 public:
  // Both must outlive this.
  FullWorkers(const Workers& workers, const Scoreboard& board) : workers_(workers), board_(board) {}

  // Returns those of the ready workers. Call it several times a second.
  std::set<int> look(std::uint64_t now);

 private:
  static constexpr std::uint64_t kShortMs = 1'000;  // after an accept that has failed

  struct Seen {
    std::uint64_t pauses = 0;
    std::uint64_t short_until_ms = 0;
  };

  const Workers& workers_;
  const Scoreboard& board_;
  std::unordered_map<int, Seen> seen_;  // by pid
};

}  // namespace pronghorn::supervisor
