#include "worker/runtime/periodic_tasks.h"

#include "common/log.h"
#include "pronghorn/concurrent.h"
#include "pronghorn/timer.h"
#include "worker/runtime/exception_text.h"

namespace pronghorn::worker {
namespace {

Task<void> run_once(const PeriodicTask& task, Worker& worker) {
  try {
    co_await task.run(worker);
  } catch (...) {
    log_error("a task of every() failed",
              {{"period_ms", task.period.count()}, {"error", describe(std::current_exception())}});
  }
}

// The run is shielded, so that stop() ends the waiting and not the run.
Task<void> repeat(const PeriodicTask& task, Worker& worker) {
  for (;;) {
    co_await sleep_for(task.period);
    co_await shield(run_once(task, worker));
  }
}

}  // namespace

void PeriodicTasks::start(const std::vector<PeriodicTask>& tasks, Worker& worker) {
  for (const PeriodicTask& task : tasks) {
    loops_.push_back(repeat(task, worker));
    loops_.back().start();
  }
}

}  // namespace pronghorn::worker
