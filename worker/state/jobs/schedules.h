// Enqueues the jobs of App::every("CRON", …): each tick once over all workers and machines.
//
// Every worker waits for every tick and asks Redis whether it is the first. So a tick needs no leader, and none is lost
// while any worker lives. A tick that Redis could not be asked about is made up for when it can, but only the last one of
// each schedule. Ticks while no worker ran are skipped.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "pronghorn/task.h"
#include "worker/state/jobs/queue/job_entry.h"

namespace pronghorn::worker {

class JobService;

// Context: loop thread.
class Schedules {
 public:
  using Clock = std::function<std::chrono::system_clock::time_point()>;

  // The first two must outlive it. Tests set the clock.
  Schedules(
      JobService& service, const std::vector<ScheduleEntry>& entries,
      Clock now = [] { return std::chrono::system_clock::now(); });
  Schedules(const Schedules&) = delete;
  Schedules& operator=(const Schedules&) = delete;
  ~Schedules() = default;

 private:
  [[nodiscard]] Task<void> run(const ScheduleEntry& entry);

  JobService& service_;
  Clock now_;
  std::vector<Task<void>> running_;
};

}  // namespace pronghorn::worker
