#include "pronghorn/jobs.h"

#include <charconv>
#include <stdexcept>

#include "worker/state/jobs/job_service.h"
#include "worker/state/jobs/queue/job_entry.h"
#include "worker/state/jobs/queue/job_queue.h"
#include "worker/state/jobs/queue/job_run.h"
#include "worker/state/jobs/queue/job_scripts.h"

namespace pronghorn {
namespace {

worker::JobService& inner(detail::JobService& service) noexcept { return static_cast<worker::JobService&>(service); }
const worker::JobRun& inner(const detail::JobRun& run) noexcept { return static_cast<const worker::JobRun&>(run); }

}  // namespace

const std::string& Job::id() const noexcept { return inner(run_).id; }

std::string_view Job::name() const noexcept { return worker::name_in_id(inner(run_).id); }

const std::string& Job::payload() const noexcept { return inner(run_).payload; }

unsigned Job::attempt() const noexcept { return inner(run_).attempt; }

unsigned Job::failures() const noexcept { return inner(run_).failures; }

bool Job::last_attempt() const noexcept {
  const worker::JobRun& run = inner(run_);
  return run.queue == nullptr || run.failures + 1 >= run.queue->entry().options.attempts;
}

Task<void> Job::progress(double fraction) {
  auto& run = static_cast<worker::JobRun&>(run_);
  if (run.queue != nullptr) co_await run.queue->report_progress(run, fraction);
}

std::string_view to_string(JobState state) noexcept {
  constexpr std::string_view kNames[] = {"waiting", "running", "done", "failed", "dead"};
  return kNames[static_cast<std::size_t>(state)];
}

Task<std::string> Jobs::enqueue(std::string_view name, std::string_view payload, const EnqueueOptions& options) {
  worker::check_enqueue(name, payload, options);
  return inner(*service_).enqueue(std::string(name), std::string(payload), std::string(options.unique), options.delay,
                                  options.priority);
}

Task<std::optional<JobStatus>> Jobs::find(std::string_view id) { return inner(*service_).find(std::string(id)); }

Task<JobCounts> Jobs::counts() { return inner(*service_).counts(); }

Task<JobCounts> Jobs::counts(std::string_view name) {
  if (!worker::is_job_name(name)) {
    throw std::invalid_argument("counts(): a job's name is 1 to 64 letters, digits, '-' or '_'");
  }
  return inner(*service_).counts_of(std::string(name));
}

Task<bool> Jobs::retry(std::string_view id) { return inner(*service_).retry(std::string(id)); }

Task<bool> Jobs::drop(std::string_view id) { return inner(*service_).drop(std::string(id)); }

}  // namespace pronghorn
