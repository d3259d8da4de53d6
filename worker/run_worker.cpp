#include "worker/run_worker.h"

#include <chrono>
#include <exception>
#include <string>
#include <utility>

#include "common/ipc/handover.h"
#include "common/ipc/scoreboard.h"
#include "common/log.h"
#include "worker/guardian/survival.h"
#include "worker/process/child_programs.h"
#include "worker/process/oom_choice.h"
#include "worker/process/orphan_guard.h"
#include "worker/process/process_log.h"
#include "worker/process/standard_output.h"
#include "worker/worker_process.h"

namespace pronghorn::worker {
namespace {

// When the supervisor dies: for everything, on_stop hooks too.
constexpr std::chrono::seconds kOrphanLimit{6};

std::string process_name(const Handover& handover) {
  if (handover.admin) return "admin";
  if (is_job_slot(handover.slot)) return "job worker " + std::to_string(handover.slot - kFirstJobSlot);
  return "worker " + std::to_string(handover.slot);
}

}  // namespace

int run_worker(void (*setup)(App&)) {
  keep_descriptors_from_children();
  keep_output_from_blocking();
  ignore_group_signals();  // only the supervisor acts on them; WorkerProcess handles SIGTERM
  Handover handover = read_handover();
  if (!die_with_supervisor(handover.supervisor_pid, kOrphanLimit)) return 1;
  try {
    open_process_log(handover.config, process_name(handover));
    // Never destroyed: signal handlers write to both while the application's static objects are destroyed.
    static Scoreboard& board = *new Scoreboard(Scoreboard::attach(kScoreboardFd));
    Survival* const survival = handover.admin || is_job_slot(handover.slot)
                                   ? nullptr
                                   : Survival::start(handover, {.give = kHandoffGiveFd, .take = kHandoffTakeFd},
                                                     board.worker(handover.slot, handover.row))
                                         .release();
    offer_to_oom_killer();  // unlike its guardian
    WorkerProcess process(std::move(handover), board, survival, setup);
    return process.run();
  } catch (const std::exception& error) {
    log_error("the worker cannot run: it exits", {{"error", error.what()}});
    return 1;
  }
}

}  // namespace pronghorn::worker
