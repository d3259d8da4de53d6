// Jobs in one worker: enqueues, finds and runs them. The implementation of pronghorn/jobs.h; job_scripts.h says how they
// are kept in Redis.
//
// Three things give the jobs of a worker that ended to others: the supervisor, which tells every worker of the machine at
// once (worker_ended()); each worker, which looks whether processes of its machine that stopped renewing their lease still
// live, in case the supervisor died too; and the end of the lease, for other machines.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "pronghorn/jobs.h"
#include "pronghorn/timer.h"
#include "worker/state/jobs/queue/job_entry.h"
#include "worker/state/jobs/queue/job_queue.h"
#include "worker/state/jobs/queue/queue_keys.h"
#include "worker/state/jobs/schedules.h"
#include "worker/state/redis/subscriptions/subscriber.h"

namespace pronghorn::detail {
// What the public headers know of worker::JobService.
class JobService {
 protected:
  ~JobService() = default;
};
}  // namespace pronghorn::detail

namespace pronghorn::worker {

class RedisClient;

// Context: loop thread; one per worker.
// Errors:  what the handle Jobs says; the rest does not throw.
class JobService final : public pronghorn::detail::JobService, private Subscriber::Listener {
 public:
  // `client` and `subscriber` are null with --redis none; then only close() and what stops it may be called. They and
  // `row` must outlive it.
  JobService(RedisClient* client, Subscriber* subscriber, const Config& config, WorkerRow& row);
  JobService(const JobService&) = delete;
  JobService& operator=(const JobService&) = delete;
  ~JobService();

  // Tests in which several workers share a process give each a name of its own. Before start().
  void call_owner(std::string name) { owner_ = std::move(name); }
  [[nodiscard]] const std::string& owner() const noexcept { return owner_; }

  // Takes jobs from now on, and enqueues those of the schedules. All arguments must outlive this.
  void start(const std::vector<JobEntry>& jobs, const std::vector<ScheduleEntry>& schedules, pronghorn::Worker& worker);
  // Takes no more jobs, nor ticks of schedules. Those that run go on.
  void stop_taking();
  // Waits until Redis knows of all jobs that have ended.
  [[nodiscard]] Task<void> settle_all();
  // Before Redis is closed. Calling it again does nothing.
  void close() noexcept;

  struct Ended {
    std::string owner;   // incarnation of the process
    std::string blamed;  // the job that has killed it; empty: none has
    std::string report;  // file name of the crash report
    std::string reason;
    bool unexpected = false;
  };
  // A worker of this machine has ended: its jobs go back.
  void worker_ended(Ended ended);

  // For Jobs. Nothing is copied: the arguments must outlive the task.
  [[nodiscard]] Task<std::string> enqueue(std::string name, std::string payload, std::string unique,
                                          std::chrono::milliseconds delay, int priority);
  [[nodiscard]] Task<std::optional<JobStatus>> find(std::string id);
  [[nodiscard]] Task<JobCounts> counts_of(std::string name);
  [[nodiscard]] Task<JobCounts> counts();
  [[nodiscard]] Task<bool> retry(std::string id);
  [[nodiscard]] Task<bool> drop(std::string id);

  // For `pronghorn jobs`: the names that jobs have been enqueued under, ids of jobs in a state, and the payload of one.
  [[nodiscard]] Task<std::vector<std::string>> names();
  [[nodiscard]] Task<std::vector<std::string>> ids(std::string name, JobState state, std::size_t most);
  [[nodiscard]] Task<std::string> payload(std::string id);

  // For Schedules.
  [[nodiscard]] Task<Tick> tick(const ScheduleEntry& schedule, std::chrono::sys_seconds when);

 private:
  static constexpr std::chrono::milliseconds kPollPeriod{1'000};
  class Keys;

  // Subscriber::Listener
  void message(std::string_view channel, const Reply& payload) override;
  void subscribed(std::string_view name) override;

  [[nodiscard]] Task<Reply> call(const Script& script, std::string name, std::vector<std::string> args);
  [[nodiscard]] Task<std::int64_t> change(const Script& script, std::string id);
  [[nodiscard]] Task<void> give_back(Ended ended);
  [[nodiscard]] Task<void> try_to_give_back(const std::string& name, const Ended& ended,
                                            std::chrono::milliseconds keep_failed);
  [[nodiscard]] Task<void> give_back(const std::string& name, const Ended& ended, std::string keep_failed);
  void wake(std::string_view name);
  void remember(std::string_view name);
  void poll();
  [[nodiscard]] Task<void> look_around();
  void sync_all();
  void find_ended_owners();
  void publish_sizes();

  RedisClient* client_;
  Subscriber* subscriber_;
  WorkerRow& row_;
  std::string prefix_;
  std::string channel_;
  std::string owner_;
  std::chrono::milliseconds lease_;
  std::unique_ptr<JobSurroundings> surroundings_;  // once started
  std::map<std::string, JobQueue, std::less<>> queues_;
  std::set<std::string, std::less<>> remembered_;  // names that Redis has been told of
  std::set<std::string, std::less<>> told_;        // names that this worker does not run, and has logged
  std::optional<Schedules> schedules_;
  Subscription waiting_;  // to the names of jobs that have just begun to wait
  std::optional<pronghorn::detail::Timer> poll_timer_;
  std::chrono::steady_clock::time_point synced_{};
  Task<void> looking_;
  bool taking_ = false;
  bool closed_ = false;
};

}  // namespace pronghorn::worker
