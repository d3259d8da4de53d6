// The guardians of the workers (worker/guardian/guardian.h), as their parent process sees them.
//
// Context: supervisor, main thread. Owned by Workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <unordered_map>

#include "common/ipc/scoreboard.h"
#include "supervisor/launch/worker_entry.h"
#include "supervisor/system/child_process.h"

namespace pronghorn::supervisor {

// Reaps guardians. When one has ended, logs in one line what it has done for the connections of its worker.
class Guardians {
 public:
  // Both must outlive this.
  Guardians(Children& children, Scoreboard& board) noexcept : children_(children), board_(board) {}

  // A worker reports its guardian's pid. Ignored if that is not a child of this process, or the worker has a guardian.
  void started(const WorkerEntry& worker, int guardian);
  // A worker reports that it has no guardian. Each reason is logged once.
  void missing(const std::string& reason);
  // The worker has been reaped, with so many requests in flight. Those that get no answer from another worker are
  // counted as lost. `finished` (may be null) is called once, when the guardian has ended as well; never if there was
  // none.
  using Finished = std::function<void(const GuardianRow& row)>;
  void worker_ended(const WorkerEntry& worker, const ChildExit& how, std::uint64_t in_flight, Finished finished);
  // Kills all guardians. The connections that they still hold end.
  void kill_all() noexcept;
  // Whether the guardian of a worker that has ended is at work: it has not reported yet what it has done.
  [[nodiscard]] bool at_work() const noexcept;
  // The living guardian of the worker; 0: none.
  [[nodiscard]] int of(int worker) const noexcept;
  [[nodiscard]] std::size_t count() const noexcept;

 private:
  // The guardian of one worker.
  struct Guardian {
    int pid = 0;  // 0: it has ended
    std::uint32_t slot = 0;
    std::uint32_t row = 0;
    std::string end;              // how the worker ended; empty: it is alive
    std::uint64_t in_flight = 0;  // when it ended
    bool ended_alone = false;     // before its worker, which did not pass its connections on either
    Finished finished = {};
  };

  void ended(int worker);
  void report(const Guardian& guardian);

  Children& children_;
  Scoreboard& board_;
  std::unordered_map<int, Guardian> guardians_;  // by the pid of the worker
  std::set<std::string> reasons_;
};

}  // namespace pronghorn::supervisor
