#include "worker/state/jobs/job_service.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>
#include <utility>

#include "common/log.h"
#include "pronghorn/concurrent.h"
#include "worker/crypto/random_hex.h"
#include "worker/state/idempotency/holder.h"
#include "worker/state/jobs/queue/job_scripts.h"
#include "worker/state/keys/key.h"
#include "worker/state/redis/node/redis_call.h"
#include "worker/state/redis/protocol/reply_errors.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/run_script.h"

namespace pronghorn::worker {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostNames = 1'000;  // that Redis is told of once and not each time

// Longer than the loop of a living worker can stand still.
std::chrono::milliseconds lease_for(const Config& config) {
  return std::max<std::chrono::milliseconds>(30s, config.worker_timeout + 10s);
}

}  // namespace

JobService::JobService(RedisClient* client, Subscriber* subscriber, const Config& config, WorkerRow& row)
    : client_(client),
      subscriber_(subscriber),
      row_(row),
      prefix_(key_prefix(config.name)),
      channel_(jobs_channel(prefix_)),
      owner_(name_this_process()),
      lease_(lease_for(config)) {}

JobService::~JobService() { close(); }

void JobService::start(const std::vector<JobEntry>& jobs, const std::vector<ScheduleEntry>& schedules,
                       pronghorn::Worker& worker) {
  surroundings_ =
      std::make_unique<JobSurroundings>(*client_, row_, worker, prefix_, owner_, std::to_string(::getpid()), lease_);
  for (const JobEntry& job : jobs) {
    queues_.emplace(std::piecewise_construct, std::forward_as_tuple(job.name),
                    std::forward_as_tuple(job, *surroundings_));
  }
  taking_ = true;
  waiting_ = subscriber_->subscribe(channel_, *this);
  poll();
  if (!schedules.empty()) schedules_.emplace(*this, schedules);
}

void JobService::message(std::string_view, const Reply& payload) {
  if (payload.is_string()) wake(payload.string());
}

void JobService::subscribed(std::string_view) {
  for (auto& [name, queue] : queues_) queue.wake();
}

void JobService::stop_taking() {
  taking_ = false;
  schedules_.reset();
  for (auto& [name, queue] : queues_) queue.stop_taking();
}

Task<void> JobService::settle_all() {
  for (auto& [name, queue] : queues_) co_await queue.settle_all();
}

void JobService::close() noexcept {
  closed_ = true;
  taking_ = false;
  waiting_.reset();
  schedules_.reset();
  poll_timer_.reset();
  for (auto& [name, queue] : queues_) queue.close();
}

// --- What Redis is asked ----------------------------------------------------------------------------------------------

// A name that this worker does not run may come from a client, in an id: its keys are not remembered.
class JobService::Keys {
 public:
  Keys(const JobService& service, std::string_view name) {
    const auto queue = service.queues_.find(name);
    if (queue == service.queues_.end()) made_.emplace(service.prefix_, name);
    keys_ = made_ ? &*made_ : &queue->second.keys();
  }
  [[nodiscard]] const QueueKeys::Views& all() const noexcept { return keys_->all(); }

 private:
  std::optional<QueueKeys> made_;
  const QueueKeys* keys_;
};

Task<Reply> JobService::call(const Script& script, std::string name, std::vector<std::string> args) {
  const Keys keys(*this, name);
  const std::vector<std::string_view> views(args.begin(), args.end());
  Task<Reply> calling = run_script(*client_, script, keys.all(), views);
  Reply reply = co_await std::move(calling);
  require_served(reply);
  co_return reply;
}

Task<std::string> JobService::enqueue(std::string name, std::string payload, std::string unique,
                                      std::chrono::milliseconds delay, int priority) {
  remember(name);
  std::string id = name + "." + random_hex();
  const std::string priority_text = std::to_string(priority);
  const std::string delay_text = std::to_string(delay.count());
  const std::array<std::string_view, 7> args{id, payload, priority_text, delay_text, unique, channel_, name};
  const Keys keys(*this, name);
  Task<Reply> calling = run_script(*client_, enqueue_script(), keys.all(), args);
  const Reply reply = co_await std::move(calling);
  require_served(reply);
  const Reply::Array& parts = reply.array();
  if (parts.size() != 3) throw RedisError("unexpected reply to a script");
  if (parts[2].integer() == 1) {  // the first of its name, or Redis has lost what it had
    remembered_.erase(name);
    remember(name);
  }
  wake(name);
  co_return parts[0].string();
}

void JobService::wake(std::string_view name) {
  if (const auto queue = queues_.find(name); queue != queues_.end()) queue->second.wake();
}

// Does not wait. For the names of its own, a worker repeats it with each sync.
void JobService::remember(std::string_view name) {
  if (!client_->up() || remembered_.contains(name) || remembered_.size() >= kMostNames) return;
  remembered_.emplace(name);
  const std::string key = job_names_key(prefix_);
  const std::array<std::string_view, 3> words{"SADD", key, name};
  client_->post(words);
}

Task<Tick> JobService::tick(const ScheduleEntry& schedule, std::chrono::sys_seconds when) {
  remember(schedule.job);
  std::vector<std::string> args{schedule.text,
                                std::to_string(when.time_since_epoch().count()),
                                schedule.job + "." + random_hex(),
                                "",
                                "0",
                                "0",
                                "",
                                channel_,
                                schedule.job};
  const Reply reply = co_await call(tick_script(), schedule.job, std::move(args));
  if (reply.integer() < 0) co_return Tick::early;
  if (reply.integer() == 0) co_return Tick::taken;
  wake(schedule.job);
  co_return Tick::added;
}

Task<JobCounts> JobService::counts_of(std::string name) {
  const Reply reply = co_await call(counts_script(), name, {});
  const Reply::Array& parts = reply.array();
  if (parts.size() != 5) throw RedisError("unexpected reply to a script");
  const auto count = [&parts](std::size_t i) { return static_cast<std::uint64_t>(parts[i].integer()); };
  co_return JobCounts{count(0), count(1), count(2), count(3), count(4)};
}

Task<JobCounts> JobService::counts() {
  JobCounts all;
  const std::vector<std::string> every = co_await names();
  for (const std::string& name : every) {
    const JobCounts counts = co_await counts_of(name);
    all.waiting += counts.waiting;
    all.running += counts.running;
    all.done += counts.done;
    all.failed += counts.failed;
    all.dead += counts.dead;
  }
  co_return all;
}

Task<std::int64_t> JobService::change(const Script& script, std::string id) {
  const std::string name(name_in_id(id));
  if (name.empty()) co_return 0;
  std::vector<std::string> args{std::move(id)};
  const Reply reply = co_await call(script, name, std::move(args));
  if (reply.integer() == 1) wake(name);
  co_return reply.integer();
}

Task<bool> JobService::retry(std::string id) { co_return co_await change(retry_script(), std::move(id)) == 1; }

Task<bool> JobService::drop(std::string id) { co_return co_await change(drop_script(), std::move(id)) == 1; }

Task<std::vector<std::string>> JobService::names() {
  RedisCall asked(*client_);
  const std::string key = job_names_key(prefix_);
  asked.send({"SMEMBERS", key});
  co_await asked;
  name_key(asked.reply(), key);
  require_served(asked.reply());
  std::set<std::string> all;
  for (const Reply& name : asked.reply().array()) {
    if (name.is_string() && is_job_name(name.string())) all.insert(name.string());
  }
  for (const auto& [name, queue] : queues_) all.insert(name);
  co_return std::vector<std::string>(all.begin(), all.end());
}

// --- The end of workers -----------------------------------------------------------------------------------------------

void JobService::worker_ended(Ended ended) {
  if (client_ == nullptr || closed_ || ended.owner.empty() || ended.owner == owner_) return;
  spawn(give_back(std::move(ended)));
}

// The names that this worker runs first; then those of other versions, or, with job workers, of the others: they may all
// be dead.
Task<void> JobService::give_back(Ended ended) {
  for (const auto& [name, queue] : queues_) co_await try_to_give_back(name, ended, queue.entry().options.keep_failed);
  std::vector<std::string> every;
  try {
    every = co_await names();
  } catch (const RedisError&) {  // the lease ends
  }
  for (const std::string& name : every) {
    if (!queues_.contains(name)) co_await try_to_give_back(name, ended, JobOptions().keep_failed);
  }
}

Task<void> JobService::try_to_give_back(const std::string& name, const Ended& ended,
                                        std::chrono::milliseconds keep_failed) {
  try {
    co_await give_back(name, ended, std::to_string(keep_failed.count()));
  } catch (const RedisUnavailable&) {  // logged by the client; the lease ends
  } catch (const RedisError& error) {
    log_error(fmt::format("cannot give back the jobs \"{}\" of a worker that ended", name), {{"error", error.what()}});
  }
}

Task<void> JobService::give_back(const std::string& name, const Ended& ended, std::string keep_failed) {
  std::vector<std::string> args{
      ended.owner,  ended.blamed, std::to_string(kInterruptionsAllowed), std::move(keep_failed),
      ended.reason, ended.report, ended.unexpected ? "1" : "0",          channel_,
      name};
  const Reply reply = co_await call(take_over_script(), name, std::move(args));
  const Reply::Array& parts = reply.array();
  if (parts.empty()) throw RedisError("unexpected reply to a script");
  for (std::size_t i = 1; i < parts.size(); ++i) {
    add(row_[Count::jobs_dead]);
    log_error(fmt::format("job {} is dead: its workers ended while it ran; the last one: {}", parts[i].string(),
                          ended.reason),
              {{"job", parts[i].string()}, {"report", ended.report}});
  }
  const auto dead = static_cast<std::int64_t>(parts.size()) - 1;
  const std::int64_t moved = parts[0].integer() - dead;
  if (moved > 0) {
    log_info(fmt::format("{} job{} \"{}\" of a worker that ended {} back", moved, moved == 1 ? "" : "s", name,
                         moved == 1 ? "goes" : "go"),
             {{"reason", ended.reason}});
  }
  wake(name);
}

// --- Looking around ---------------------------------------------------------------------------------------------------

// Also what was not settled, and delayed jobs, while Redis was down.
void JobService::poll() {
  if (closed_) return;
  for (auto& [name, queue] : queues_) queue.wake();
  const auto now = std::chrono::steady_clock::now();
  if (now - synced_ >= kSyncPeriod) {
    synced_ = now;
    find_ended_owners();
    sync_all();
    if (!looking_.valid() || looking_.done()) {
      looking_ = look_around();
      looking_.start();
    }
  }
  publish_sizes();
  poll_timer_.emplace(kPollPeriod);
  poll_timer_->arm([](void* service) { static_cast<JobService*>(service)->poll(); }, this);
}

void JobService::sync_all() {
  remembered_.clear();
  for (auto& [name, queue] : queues_) {
    remember(name);
    queue.sync();
  }
}

void JobService::publish_sizes() {
  JobQueue::Sizes all;
  for (const auto& [name, queue] : queues_) {
    all.waiting += queue.sizes().waiting;
    all.dead_letters += queue.sizes().dead_letters;
  }
  row_[Count::jobs_waiting].store(all.waiting, std::memory_order_relaxed);
  row_[Count::jobs_dead_letters].store(all.dead_letters, std::memory_order_relaxed);
}

// Nobody has told this worker of their end, so nothing is known about it.
void JobService::find_ended_owners() {
  std::set<std::string> ended;
  for (const auto& [name, queue] : queues_) {
    for (const std::string& owner : queue.silent_owners()) {
      if (state_of_holder(owner, owner_) == HolderState::ended) ended.insert(owner);
    }
  }
  for (const std::string& owner : ended) {
    worker_ended({.owner = owner, .blamed = {}, .report = {}, .reason = "its process has ended", .unexpected = true});
  }
}

// Names that no code of this worker knows. Another worker, of another version, may know them.
Task<void> JobService::look_around() {
  try {
    const std::vector<std::string> every = co_await names();
    for (const std::string& name : every) {
      if (queues_.contains(name) || told_.contains(name) || !taking_) continue;
      const JobCounts counts = co_await counts_of(name);
      if (counts.waiting == 0) continue;
      told_.insert(name);
      log_warning(fmt::format("{} job{} \"{}\" wait{} for a worker that knows the name: this one does not",
                              counts.waiting, counts.waiting == 1 ? "" : "s", name, counts.waiting == 1 ? "s" : ""),
                  {{"name", name}});
    }
  } catch (const RedisError&) {  // whoever works with them says so
  }
}

}  // namespace pronghorn::worker
