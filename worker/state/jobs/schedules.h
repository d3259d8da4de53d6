// Enqueues the jobs of App::every("CRON", …): each tick once over all workers and machines.
//
// Every worker waits for every tick and asks Redis whether it is the first. So a tick needs no leader, and none is lost
// while any worker lives. A tick that Redis could not be asked about is made up for when it can, but only the last one of
// each schedule. Ticks while no worker ran are skipped. A machine whose clock is more than an hour ahead of that of Redis
// takes none: it would keep the others from theirs until that time has come.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "pronghorn/task.h"
#include "worker/state/jobs/queue/job_entry.h"

namespace pronghorn::worker {

class JobService;

// What became of a tick: it has added a job, it or a later one was taken before, or it is more than an hour away by the
// clock of Redis.
enum class Tick { added, taken, early };

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
  struct Told {  // in the log
    bool refused = false;
    bool early = false;
  };
  [[nodiscard]] Task<void> run(const ScheduleEntry& entry);
  // Nothing if Redis cannot be asked.
  [[nodiscard]] Task<std::optional<Tick>> ask(const ScheduleEntry& entry, std::chrono::sys_seconds tick, Told& told);

  JobService& service_;
  Clock now_;
  std::vector<Task<void>> running_;
};

}  // namespace pronghorn::worker
