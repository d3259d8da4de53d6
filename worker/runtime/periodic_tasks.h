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
  // Each task first runs when its period has passed, and again when as much time has passed after its end. `tasks` and
  // `worker` must outlive this and every run.
  void start(const std::vector<PeriodicTask>& tasks, Worker& worker);
  // No run begins any more. One that has begun goes on as a background task of the Runtime.
  void stop() noexcept { loops_.clear(); }

 private:
  std::vector<Task<void>> loops_;
};

}  // namespace pronghorn::worker
