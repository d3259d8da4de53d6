// The jobs of one name in one worker: takes them from Redis, runs them, and tells Redis how they ended.
//
// One call of a script does all that is due at a time: it settles the jobs that have ended since the last call, brings
// delayed jobs whose time has come to the others, and takes as many as there is room for. The next call is made when its
// reply has arrived, so calls grow with the load and none is made for nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "pronghorn/redis.h"
#include "pronghorn/task.h"
#include "pronghorn/timer.h"
#include "pronghorn/worker.h"
#include "worker/state/jobs/queue/job_entry.h"
#include "worker/state/jobs/queue/job_run.h"
#include "worker/state/jobs/queue/queue_keys.h"

namespace pronghorn::worker {

class RedisClient;

// What all queues of a worker share. Must outlive them.
struct JobSurroundings {
  RedisClient& client;
  WorkerRow& row;
  pronghorn::Worker& worker;
  std::string prefix;  // of keys
  std::string owner;   // names this process in Redis
  std::string pid;
  std::chrono::milliseconds lease;
};

inline constexpr std::chrono::milliseconds kSyncPeriod{5'000};

// How often a job may be running when its worker ends through no fault of its own, before it is dead.
inline constexpr unsigned kInterruptionsAllowed = 10;

// Context: loop thread.
// Errors:  nothing throws. While Redis is down, results wait here, and so do the places of their jobs.
class JobQueue {
 public:
  // `entry` and `surroundings` must outlive it.
  JobQueue(const JobEntry& entry, JobSurroundings& surroundings);
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;
  ~JobQueue() { close(); }

  [[nodiscard]] const std::string& name() const noexcept { return entry_.name; }
  [[nodiscard]] const JobEntry& entry() const noexcept { return entry_; }
  [[nodiscard]] const QueueKeys& keys() const noexcept { return keys_; }
  [[nodiscard]] const JobSurroundings& surroundings() const noexcept { return surroundings_; }

  // There may be jobs to take, or to settle. Cheap; may be called from anywhere.
  void wake();
  // Renews the lease, and looks for jobs whose workers have gone.
  void sync();
  // Takes no more jobs. Those that run go on.
  void stop_taking() noexcept { taking_ = false; }
  // Waits until Redis knows how every job that has ended did so, for one more call at most.
  [[nodiscard]] Task<void> settle_all();
  // Jobs that still run are on their own; what they yield is dropped. Call it before Redis is closed.
  void close() noexcept;

  [[nodiscard]] std::size_t running() const noexcept { return runs_.size(); }
  // As of the last sync.
  struct Sizes {
    std::uint64_t waiting = 0;
    std::uint64_t dead_letters = 0;
  };
  [[nodiscard]] const Sizes& sizes() const noexcept { return sizes_; }
  // Owners of jobs whose last sign of life is older than two renewals, as of the last sync.
  [[nodiscard]] const std::vector<std::string>& silent_owners() const noexcept { return silent_; }

  // For Job and for the coroutine that runs it.
  [[nodiscard]] Task<void> report_progress(JobRun& run, double fraction);
  void ended(JobRun& run) noexcept;

 private:
  struct Settled {
    std::string id;
    unsigned attempt;
    std::string outcome;
    std::string text;
    std::chrono::milliseconds delay;
    bool told = false;  // to a Redis that has not answered, so it may have been settled
    // Nothing but its id has to be told.
    [[nodiscard]] bool is_plain() const { return attempt == 1 && outcome == "done" && text.empty(); }
  };

  void start_work();
  [[nodiscard]] Task<void> work();
  [[nodiscard]] Task<bool> take_turn();
  [[nodiscard]] Task<bool> take_sync();
  [[nodiscard]] std::size_t room() const noexcept;
  void sent_back(std::vector<Settled> batch);
  void read_turn(const std::vector<Settled>& batch, const Reply::Array& parts);
  void read_settled(const std::vector<Settled>& batch, const Reply::Array& taken_over, const Reply::Array& gone);
  void start_jobs(const Reply::Array& ids, const Reply::Array& payloads, const Reply::Array& again);
  [[nodiscard]] Task<void> carry_out(std::unique_ptr<JobRun> run);
  [[nodiscard]] Task<std::string> handle(Job& job);
  void failed(JobRun& run, std::string reason);
  void wake_in(std::chrono::milliseconds delay);
  void tell_error(std::string_view error);

  const JobEntry& entry_;
  JobSurroundings& surroundings_;
  QueueKeys keys_;
  std::string lease_text_, keep_text_, keep_failed_text_;

  std::vector<JobRun*> runs_;
  std::vector<Settled> settled_;  // not told to Redis yet
  bool taking_ = true;
  bool closed_ = false;
  bool working_ = false;  // a call is in flight, or its reply is being handled
  bool turn_wanted_ = false;
  bool sync_wanted_ = false;
  bool told_error_ = false;
  Sizes sizes_;
  std::vector<std::string> silent_;
  std::optional<pronghorn::detail::Timer> due_;  // the next delayed job
  Task<void> work_;
};

}  // namespace pronghorn::worker
