#include "worker/state/jobs/queue/job_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <utility>

#include "common/log.h"
#include "pronghorn/concurrent.h"
#include "worker/runtime/exception_text.h"
#include "worker/state/jobs/queue/job_scripts.h"
#include "worker/state/redis/protocol/reply_errors.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/run_script.h"

namespace pronghorn::worker {
namespace {

using namespace std::chrono_literals;
using Milliseconds = std::chrono::milliseconds;

constexpr std::size_t kMostPerCall = 256;              // jobs taken or settled
constexpr std::size_t kMostPayload = 4 * 1024 * 1024;  // bytes of payload taken per call, before one more
constexpr std::size_t kMostSettled = 4 * 1024 * 1024;  // bytes of results settled per call, before one more
constexpr std::size_t kMostResult = 256 * 1024;        // bytes
constexpr std::size_t kMostReason = 1000;              // bytes
constexpr const char* kMostDone = "100000";            // jobs
constexpr Milliseconds kProgressPeriod = 100ms;

using Args = std::vector<std::string_view>;

// What is left of a text if it is too long.
std::string shortened(std::string text) {
  if (text.size() > kMostReason) text.resize(kMostReason);
  return text;
}

// Doubled with each failure, at most max_backoff, less up to a quarter.
Milliseconds wait_after(const JobOptions& options, unsigned failures) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  const double longest = static_cast<double>(options.max_backoff.count());
  const double doubled = static_cast<double>(options.backoff.count()) * std::exp2(std::min(failures - 1, 60U));
  const double share = std::uniform_real_distribution<double>(0.75, 1.0)(random);
  return Milliseconds(std::max<std::int64_t>(1, std::llround(std::min(doubled, longest) * share)));
}

}  // namespace

JobQueue::JobQueue(const JobEntry& entry, JobSurroundings& surroundings)
    : entry_(entry),
      surroundings_(surroundings),
      keys_(surroundings.prefix, entry.name),
      lease_text_(std::to_string(surroundings.lease.count())),
      keep_text_(std::to_string(entry.options.keep.count())),
      keep_failed_text_(std::to_string(entry.options.keep_failed.count())) {}

void JobQueue::close() noexcept {
  closed_ = true;
  due_.reset();
  for (JobRun* run : runs_) run->queue = nullptr;
  runs_.clear();
}

void JobQueue::wake() {
  turn_wanted_ = true;
  start_work();
}

void JobQueue::sync() {
  sync_wanted_ = true;
  start_work();
}

// Belongs to no request, whoever calls.
void JobQueue::start_work() {
  if (working_ || closed_) return;
  working_ = true;
  auto* const running = pronghorn::detail::set_running(nullptr);
  work_ = work();
  work_.start();
  pronghorn::detail::set_running(running);
}

// One call at a time: a sync must not give back jobs that a turn is about to learn of.
Task<void> JobQueue::work() {
  bool served = true;
  while (served && !closed_ && (turn_wanted_ || sync_wanted_)) {
    if (std::exchange(sync_wanted_, false)) {
      served = co_await take_sync();
    } else {
      turn_wanted_ = false;
      if (!settled_.empty() || room() > 0) served = co_await take_turn();
    }
  }
  working_ = false;
}

std::size_t JobQueue::room() const noexcept {
  const std::size_t used = runs_.size() + (settled_.size() > kMostPerCall ? settled_.size() - kMostPerCall : 0);
  if (!taking_ || used >= entry_.options.concurrency) return 0;
  return std::min(entry_.options.concurrency - used, kMostPerCall);
}

Task<bool> JobQueue::take_turn() {
  std::vector<Settled> batch;
  std::size_t bytes = 0;
  while (batch.size() < std::min(kMostPerCall, settled_.size()) && bytes < kMostSettled) {
    batch.push_back(std::move(settled_[batch.size()]));
    bytes += batch.back().text.size();
  }
  settled_.erase(settled_.begin(), settled_.begin() + static_cast<std::ptrdiff_t>(batch.size()));
  const std::string want = std::to_string(room());
  const std::string most = std::to_string(kMostPayload);
  std::vector<std::string> numbers;  // what the arguments refer to
  numbers.reserve(2 * batch.size());
  const auto others = std::partition(batch.begin(), batch.end(), std::mem_fn(&Settled::is_plain));
  const std::string firsts = std::to_string(others - batch.begin());
  Args args{surroundings_.owner, surroundings_.pid, lease_text_,       want,  most,
            keep_text_,          kMostDone,         keep_failed_text_, firsts};
  for (const Settled& each : std::span(batch.begin(), others)) args.push_back(each.id);
  for (const Settled& each : std::span(others, batch.end())) {
    const std::string& attempt = numbers.emplace_back(std::to_string(each.attempt));
    const std::string& delay = numbers.emplace_back(std::to_string(each.delay.count()));
    args.insert(args.end(), {each.id, attempt, each.outcome, each.text, delay});
  }
  Reply reply;
  std::string error;
  bool answered = false;
  try {
    Task<Reply> calling = run_script(surroundings_.client, turn_script(), keys_.all(), args);
    reply = co_await std::move(calling);
    answered = true;
    require_served(reply);
    if (closed_) co_return false;
    read_turn(batch, reply.array());
  } catch (const RedisUnavailable&) {  // logged by the client
    for (Settled& each : batch) each.told = each.told || !answered;
    sent_back(std::move(batch));
    co_return false;
  } catch (const RedisError& refused) {
    error = refused.what();
  }
  if (!error.empty()) {
    sent_back(std::move(batch));
    tell_error(error);
    co_return false;
  }
  told_error_ = false;
  co_return true;
}

void JobQueue::read_turn(const std::vector<Settled>& batch, const Reply::Array& parts) {
  const auto is_attempt = [](const Reply& each) { return each.array().size() == 3; };
  if (parts.size() != 7 || parts[1].array().size() != parts[2].array().size() ||
      !std::ranges::all_of(parts[3].array(), is_attempt)) {
    throw RedisError("unexpected reply to a script");
  }
  const std::int64_t waiting = parts[4].integer();
  const std::int64_t next = parts[5].integer();
  read_settled(batch, parts[0].array(), parts[6].array());
  start_jobs(parts[1].array(), parts[2].array(), parts[3].array());
  if (next >= 0) wake_in(Milliseconds(next));
  turn_wanted_ = !settled_.empty() || ((turn_wanted_ || waiting > 0) && room() > 0);
}

// The script does not settle a job twice, so it may have been carried out.
void JobQueue::sent_back(std::vector<Settled> batch) {
  settled_.insert(settled_.begin(), std::make_move_iterator(batch.begin()), std::make_move_iterator(batch.end()));
}

// A job that is gone may be one that was settled, and forgotten since: its own end is what happened to it.
void JobQueue::read_settled(const std::vector<Settled>& batch, const Reply::Array& taken_over,
                            const Reply::Array& gone) {
  std::vector<bool> fenced(batch.size());
  const auto among = [&batch](const Reply& place) {
    return place.integer() >= 1 && static_cast<std::size_t>(place.integer()) <= batch.size();
  };
  for (const Reply& each : taken_over) {
    if (among(each)) fenced[each.integer() - 1] = true;
  }
  for (const Reply& each : gone) {
    if (among(each)) fenced[each.integer() - 1] = !batch[each.integer() - 1].told;
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const Settled& each = batch[i];
    if (!fenced[i]) {
      const Count count = each.outcome == "done"     ? Count::jobs_done
                          : each.outcome == "retry"  ? Count::jobs_retried
                          : each.outcome == "failed" ? Count::jobs_failed
                                                     : Count::jobs_given_back;
      add(surroundings_.row[count]);
      continue;
    }
    add(surroundings_.row[Count::jobs_fenced]);
    if (each.outcome == "back") continue;  // the worker that has it would have got it from us
    log_warning(
        fmt::format("job {} is no longer this worker's: another one has taken it over, or Redis has lost it; how "
                    "it ended here is dropped",
                    each.id),
        {{"job", each.id}, {"attempt", each.attempt}, {"outcome", each.outcome}});
  }
}

void JobQueue::start_jobs(const Reply::Array& ids, const Reply::Array& payloads, const Reply::Array& again) {
  auto other = again.begin();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    unsigned attempt = 1;
    unsigned failures = 0;
    if (other != again.end() && static_cast<std::size_t>(other->array().front().integer()) == i + 1) {
      attempt = static_cast<unsigned>(other->array()[1].integer());
      failures = static_cast<unsigned>(other->array()[2].integer());
      ++other;
    }
    const Reply& payload = payloads[i];
    auto run = std::make_unique<JobRun>(*this, ids[i].string(), attempt, failures,
                                        payload.is_string() ? payload.string() : std::string());
    runs_.push_back(run.get());
    add(surroundings_.row[Count::jobs_running]);
    spawn(carry_out(std::move(run)));
  }
}

namespace {

// Tells the queue that a job has ended, however its coroutine does.
class EndOfRun {
 public:
  explicit EndOfRun(JobRun& run) noexcept : run_(run) {}
  EndOfRun(const EndOfRun&) = delete;
  EndOfRun& operator=(const EndOfRun&) = delete;
  ~EndOfRun() {
    pronghorn::detail::set_running(nullptr);
    if (run_.queue != nullptr) run_.queue->ended(run_);
  }

 private:
  JobRun& run_;
};

}  // namespace

// A background task: a draining worker waits for it. When drain_timeout destroys it, the job goes back.
Task<void> JobQueue::carry_out(std::unique_ptr<JobRun> run) {
  const EndOfRun end(*run);
  pronghorn::detail::set_running(&run->exchange);
  Job job(*run);
  try {
    std::string result = co_await handle(job);
    run->outcome = "done";
    if (result.size() > kMostResult) {
      log_warning(fmt::format("the result of job {} is dropped: it has {} bytes, and at most {} are kept", run->id,
                              result.size(), kMostResult));
      result.clear();
    }
    run->text = std::move(result);
  } catch (...) {
    if (run->queue != nullptr) run->queue->failed(*run, describe(std::current_exception()));
  }
}

Task<std::string> JobQueue::handle(Job& job) {
  if (entry_.options.timeout.count() == 0) return entry_.run(job, surroundings_.worker);
  return with_deadline(entry_.options.timeout, entry_.run(job, surroundings_.worker));
}

void JobQueue::failed(JobRun& run, std::string reason) {
  const unsigned failures = run.failures + 1;
  const bool last = failures >= entry_.options.attempts;
  run.outcome = last ? "failed" : "retry";
  run.text = shortened(std::move(reason));
  const std::string which = fmt::format("job {} failed: {}", run.id, run.text);
  if (last) {
    log_error(fmt::format("{}; it was its last attempt of {}", which, entry_.options.attempts),
              {{"job", run.id}, {"attempt", run.attempt}, {"failures", failures}, {"error", run.text}});
    return;
  }
  run.delay = wait_after(entry_.options, failures);
  log_warning(fmt::format("{}; it is tried again in {} ms", which, run.delay.count()),
              {{"job", run.id}, {"attempt", run.attempt}, {"failures", failures}, {"error", run.text}});
}

void JobQueue::ended(JobRun& run) noexcept {
  std::erase(runs_, &run);
  subtract(surroundings_.row[Count::jobs_running]);
  settled_.push_back({run.id, run.attempt, std::move(run.outcome), std::move(run.text), run.delay, false});
  wake();
}

Task<bool> JobQueue::take_sync() {
  std::vector<std::string> known;
  for (const JobRun* run : runs_) known.push_back(run->id + "/" + std::to_string(run->attempt));
  for (const Settled& each : settled_) known.push_back(each.id + "/" + std::to_string(each.attempt));
  const std::string allowed = std::to_string(kInterruptionsAllowed);
  const std::string away = std::to_string((2 * kSyncPeriod).count());
  Args args{surroundings_.owner, lease_text_, allowed, keep_failed_text_, away};
  args.insert(args.end(), known.begin(), known.end());
  std::string error;
  try {
    Task<Reply> calling = run_script(surroundings_.client, sync_script(), keys_.all(), args);
    const Reply reply = co_await std::move(calling);
    require_served(reply);
    const Reply::Array& parts = reply.array();
    if (parts.size() < 4 || parts.size() % 2 != 0) throw RedisError("unexpected reply to a script");
    sizes_.waiting = static_cast<std::uint64_t>(parts[0].integer());
    sizes_.dead_letters = static_cast<std::uint64_t>(parts[2].integer() + parts[3].integer());
    silent_.clear();
    for (std::size_t i = 4; i < parts.size(); i += 2) {
      if (Milliseconds(parts[i + 1].integer()) < surroundings_.lease - 2 * kSyncPeriod) {
        silent_.push_back(parts[i].string());
      }
    }
    if (sizes_.waiting > 0) turn_wanted_ = true;
  } catch (const RedisUnavailable&) {
    co_return false;
  } catch (const RedisError& refused) {
    error = refused.what();
  }
  if (!error.empty()) tell_error(error);
  co_return error.empty();
}

Task<void> JobQueue::report_progress(JobRun& run, double fraction) {
  const auto now = std::chrono::steady_clock::now();
  if (now - run.reported < kProgressPeriod) co_return;
  run.reported = now;
  const std::string attempt = std::to_string(run.attempt);
  const std::string value = fmt::format("{:.6f}", std::clamp(std::isfinite(fraction) ? fraction : 0.0, 0.0, 1.0));
  const Args args{run.id, attempt, surroundings_.owner, value};
  try {
    Task<Reply> calling = run_script(surroundings_.client, progress_script(), keys_.all(), args);
    co_await std::move(calling);
  } catch (const RedisUnavailable&) {
  }
}

Task<void> JobQueue::settle_all() {
  while (working_ && !closed_) co_await sleep_for(1ms);
  while (!settled_.empty() && !closed_) {
    wake();
    while (working_ && !closed_) co_await sleep_for(1ms);
    if (turn_wanted_) continue;
    if (!settled_.empty()) break;  // Redis is down
  }
}

void JobQueue::wake_in(Milliseconds delay) {
  due_.emplace(std::max(delay, 1ms));
  due_->arm([](void* queue) { static_cast<JobQueue*>(queue)->wake(); }, this);
}

void JobQueue::tell_error(std::string_view error) {
  if (std::exchange(told_error_, true)) return;
  log_error(fmt::format("Redis refuses the jobs \"{}\": they wait", entry_.name), {{"error", error}});
}

}  // namespace pronghorn::worker
