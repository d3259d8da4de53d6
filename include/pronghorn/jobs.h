// Background jobs: work that outlives the request that asks for it, kept in Redis and carried out at least once by any
// worker of any machine.
//
//   Task<void> send_email(Job& job) { co_await deliver(job.payload()); }
//
//   app.job("email", send_email, {.attempts = 5, .backoff = 1s, .concurrency = 10});
//   app.every("0 3 * * *", "cleanup", "Europe/Berlin");
//   const std::string id = co_await request.jobs().enqueue("email", json, {.delay = 5min, .unique = "welcome:7"});
//
// A job whose worker dies is run again by another one, within milliseconds on the same machine and after a lease of
// half a minute if a whole machine is gone. So a handler may run more than once for the same job: what it does outside
// this server must tolerate that, for example by passing job.id() on as an idempotency key. See docs/app/jobs.md.
//
// Context: the worker's loop thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "pronghorn/detail/callable.h"
#include "pronghorn/detail/export.h"
#include "pronghorn/handler.h"
#include "pronghorn/task.h"
#include "pronghorn/worker.h"

namespace pronghorn {

namespace detail {
class JobRun;
class JobService;
}  // namespace detail

// How jobs of one name are carried out. If workers run different versions of the application, each uses its own
// options. No time may be longer than 366 days.
struct JobOptions {
  // How often a job may fail (its handler throws) before it is given up, as `failed`. 1 to 1,000,000.
  unsigned attempts = 5;
  // The wait after the first failure; it doubles with each further one, up to max_backoff. Each wait is shortened at
  // random by up to a quarter, so that jobs that failed together do not return together. At least 1 ms; max_backoff at
  // least `backoff`.
  std::chrono::milliseconds backoff = std::chrono::seconds(1);
  std::chrono::milliseconds max_backoff = std::chrono::hours(1);
  // Jobs of this name that one worker runs at the same time. 1 to 10,000.
  unsigned concurrency = 10;
  // How long one attempt may take; then its handler is destroyed and the attempt has failed. Zero: no limit.
  std::chrono::milliseconds timeout{0};
  // How long a finished job and its result can be looked up; of each name only the latest 100,000. Zero: not at all.
  std::chrono::milliseconds keep = std::chrono::hours(1);
  // How long jobs that failed or are dead are kept with their payload, for `pronghorn jobs`. At least 1 ms.
  std::chrono::milliseconds keep_failed = std::chrono::days(14);
};

// One enqueue(). May be a temporary in the operand of a co_await.
struct EnqueueOptions {
  std::chrono::milliseconds delay{0};  // before it may run; at most 366 days
  // While a job with this text (at most 256 bytes) waits or runs, another enqueue() with it under the same name adds
  // nothing and yields the id of the first. Empty: not unique.
  std::string_view unique = {};
  // Jobs of one name run in the order of their priority, highest first, then of their enqueue(). -100 to 100.
  int priority = 0;
};

// One attempt to carry out a job. Valid until its handler has ended.
class PRONGHORN_API Job {
 public:
  explicit Job(detail::JobRun& run) noexcept : run_(run) {}  // for the server
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  [[nodiscard]] const std::string& id() const noexcept;  // "NAME.32 hex digits"; names it in logs and crash reports
  [[nodiscard]] std::string_view name() const noexcept;
  // As given to enqueue(): any bytes, perhaps from an older version of the application. Empty for the job of a
  // schedule.
  [[nodiscard]] const std::string& payload() const noexcept;
  [[nodiscard]] unsigned attempt() const noexcept;   // how often it has been started, this time included: 1, 2 …
  [[nodiscard]] unsigned failures() const noexcept;  // how many of the earlier attempts threw
  // Whether this is its last attempt: if it throws, the job has failed.
  [[nodiscard]] bool last_attempt() const noexcept;

  // Stores how far the job is, from 0 to 1 (other values are clamped), for Jobs::find(). Does nothing while Redis is
  // down, or if the last call was less than 100 ms ago.
  [[nodiscard]] Task<void> progress(double fraction);

 private:
  detail::JobRun& run_;
};

// The function that carries out jobs: void, Task<void>, std::string or Task<std::string>, from (Job&) or (Job&,
// Worker&). A string is the job's result; Jobs::find() yields it. At most 256 KiB of it are kept: a longer result is
// dropped with a warning. An exception fails the attempt.
class JobHandler {
 public:
  using Function = std::function<Task<std::string>(Job&, Worker&)>;

  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, JobHandler>)
  JobHandler(F&& function)  // NOLINT(google-explicit-constructor): app.job("name", function)
      : function_(wrap(std::decay_t<F>(std::forward<F>(function)))) {}

  [[nodiscard]] const Function& function() const noexcept { return function_; }  // for the server; may be empty

 private:
  template <class F>
  static auto call(F& function, Job& job, Worker& worker) {
    if constexpr (std::is_invocable_v<F&, Job&, Worker&>) {
      return function(job, worker);
    } else {
      return function(job);
    }
  }
  template <class F>
  static Function wrap(F function) {
    static_assert(detail::check_kept_callable<F>());
    if (detail::is_empty_callable(function)) return {};
    static_assert(std::is_invocable_v<F&, Job&, Worker&> || std::is_invocable_v<F&, Job&>,
                  "a job's handler takes (Job&) or (Job&, Worker&)");
    using Result = decltype(call(std::declval<F&>(), std::declval<Job&>(), std::declval<Worker&>()));
    if constexpr (std::is_same_v<Result, Task<std::string>>) {
      return [function = std::move(function)](Job& job, Worker& worker) mutable { return call(function, job, worker); };
    } else if constexpr (std::is_same_v<Result, Task<void>>) {
      return [function = std::move(function)](Job& job, Worker& worker) mutable -> Task<std::string> {
        co_await call(function, job, worker);
        co_return std::string();
      };
    } else if constexpr (std::is_void_v<Result>) {
      return [function = std::move(function)](Job& job, Worker& worker) mutable -> Task<std::string> {
        call(function, job, worker);
        co_return std::string();
      };
    } else if constexpr (std::is_convertible_v<Result, std::string>) {
      return [function = std::move(function)](Job& job, Worker& worker) mutable -> Task<std::string> {
        co_return std::string(call(function, job, worker));
      };
    } else {
      static_assert(detail::kNever<F>, "a job's handler returns void, Task<void>, std::string or Task<std::string>");
      return {};
    }
  }

  Function function_;
};

enum class JobState {
  waiting,  // to be started, or to be tried again
  running,
  done,
  failed,  // its handler has thrown `attempts` times
  dead,    // it has killed two workers
};
[[nodiscard]] PRONGHORN_API std::string_view to_string(JobState state) noexcept;

// What is known of one job.
struct JobStatus {
  std::string id;
  JobState state{};
  unsigned attempts = 0;     // how often it was started
  unsigned failures = 0;     // how many of these threw
  unsigned kills = 0;        // how many workers it has killed
  std::vector<int> pids;     // the processes that started it, the last 16
  double progress = 0;       // 0 to 1
  std::string reason;        // why the last attempt did not succeed
  std::string crash_report;  // the name of the report about the last worker that it killed
  std::optional<std::string> result;
  std::chrono::system_clock::time_point enqueued;
  std::chrono::system_clock::time_point due;  // while it waits: not before this
};

// How many jobs there are, by state.
struct JobCounts {
  std::uint64_t waiting = 0;  // delayed ones and those to be tried again included
  std::uint64_t running = 0;
  std::uint64_t done = 0;    // ever, of those enqueued to this Redis
  std::uint64_t failed = 0;  // kept now, until keep_failed has passed or somebody retries or drops them
  std::uint64_t dead = 0;    // the same
};

// A handle to the jobs of all workers and machines that share a Redis and the option `name`: cheap to copy, valid for
// the life of the worker.
//
// Errors: all throw RedisUnavailable (503) if Redis is down or full. If enqueue() throws it, the job may have been
// added nevertheless.
class PRONGHORN_API Jobs {
 public:
  static constexpr std::size_t kMaxPayload = 1024 * 1024;  // bytes

  explicit Jobs(detail::JobService& service) noexcept : service_(&service) {}  // for the server

  // Adds a job in one round trip and yields its id. The name need not be known to this worker: the job waits for one
  // that knows it. Throws std::invalid_argument if the name is not 1 to 64 letters, digits, '-' or '_', the payload is
  // larger than kMaxPayload, or an option is out of range. Copies its arguments before it returns.
  [[nodiscard]] Task<std::string> enqueue(std::string_view name, std::string_view payload,
                                          const EnqueueOptions& options = {});
  // nullopt if there is no such job, or it is no longer kept. Any text is allowed as `id`.
  [[nodiscard]] Task<std::optional<JobStatus>> find(std::string_view id);
  // Of all names, or of one. Throws std::invalid_argument for a name that enqueue() would not take.
  [[nodiscard]] Task<JobCounts> counts();
  [[nodiscard]] Task<JobCounts> counts(std::string_view name);
  // Runs a job that has failed or is dead once more, with all its attempts. It is unique again, unless another job with
  // its text waits or runs by now. False if it is in neither state.
  [[nodiscard]] Task<bool> retry(std::string_view id);
  // Removes a job that does not run. False if there is none, or if it runs.
  [[nodiscard]] Task<bool> drop(std::string_view id);

 private:
  detail::JobService* service_;
};

}  // namespace pronghorn
