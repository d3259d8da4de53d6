// The tasks of App::every() in one worker.
#pragma once

#include <chrono>
#include <vector>

#include "pronghorn/handler.h"
#include "pronghorn/task.h"

namespace pronghorn::worker {

struct PeriodicTask {
  std::chrono::milliseconds period;
  pronghorn::detail::Hook run;
};

// Context: loop thread, with a current Runtime.
class PeriodicTasks {
 public:
  // Each task first runs after its period, then one period after the end of each run. `tasks` and `worker` must outlive
  // this and every run.
  void start(const std::vector<PeriodicTask>& tasks, Worker& worker);
  // Starts no more runs. A run in progress continues as a background task of the Runtime.
  void stop() noexcept { loops_.clear(); }

 private:
  std::vector<Task<void>> loops_;
};

}  // namespace pronghorn::worker
