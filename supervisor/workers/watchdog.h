// Kills workers that exceed a time limit: boot_timeout, worker_timeout, the deadline of a drain.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <string>

#include "common/ipc/scoreboard.h"
#include "supervisor/slots/handle_table.h"
#include "supervisor/slots/slots.h"
#include "supervisor/system/child_process.h"

namespace pronghorn::supervisor {

class Watchdog {
 public:
  // All must outlive this.
  Watchdog(Slots& slots, const Scoreboard& board, Children& children, const HandleTable& handles)
      : slots_(slots), board_(board), children_(children), handles_(handles) {}

  // Once a second: aborts workers whose loop has neither turned nor gone on to another request for worker_timeout, and
  // the distributor sooner: it runs no code of the application, nobody can connect while it stands still, and its end
  // costs next to nothing.
  void look_for_hung(std::uint64_t now);
  // Kills the workers whose WorkerEntry::kill_at_ms has come; one that is still starting is aborted first.
  void kill_due(std::uint64_t now);

 private:
  static constexpr std::uint64_t kAbortGraceMs = 2'000;  // from SIGABRT to SIGKILL
  static constexpr std::uint64_t kDistributorLimitMs = 5'000;
  static constexpr std::uint64_t kLateMs = 3'000;  // after a longer pause, the machine was suspended

  void abort(const WorkerEntry& worker, std::uint64_t now, std::string why);

  Slots& slots_;
  const Scoreboard& board_;
  Children& children_;
  const HandleTable& handles_;
  std::uint64_t last_look_ms_ = 0;
};

}  // namespace pronghorn::supervisor
