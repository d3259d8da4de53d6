#include "supervisor/workers/leaving_workers.h"

#include <fmt/format.h>

#include "common/log.h"
#include "supervisor/crash/exit_facts.h"

namespace pronghorn::supervisor {

bool says_it_drains(const WorkerEntry& worker, const Scoreboard& board) noexcept {
  const WorkerRow& row = board.worker(worker.slot, worker.row);
  return row.pid.load() == static_cast<std::uint32_t>(worker.pid) && row.phase.load() == WorkerPhase::draining;
}

bool retire_leaving(Workers& workers, Scoreboard& board) {
  bool any = false;
  for (const WorkerEntry& worker : workers.slots().workers()) {
    const bool replaceable = is_worker_slot(worker.slot) || is_job_slot(worker.slot);
    if (!replaceable || worker.state != WorkerState::ready || !says_it_drains(worker, board)) continue;
    log_info(fmt::format("{} leaves because of a signal (SIGTERM): replacing it", process_name(worker.slot)),
             {slot_field(worker.slot), {"pid", worker.pid}});
    add(board.slot(worker.slot)[Count::restarts]);
    workers.retire(worker.pid);
    any = true;
  }
  return any;
}

}  // namespace pronghorn::supervisor
