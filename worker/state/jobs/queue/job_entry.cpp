#include "worker/state/jobs/queue/job_entry.h"

#include <fmt/format.h>

#include <chrono>
#include <stdexcept>

#include "worker/state/jobs/queue/queue_keys.h"

namespace pronghorn::worker {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kLongest = std::chrono::days(366);
constexpr unsigned kMostAttempts = 1'000'000;
constexpr unsigned kMostConcurrency = 10'000;
constexpr std::size_t kLongestUnique = 256;
constexpr int kMostPriority = 100;

void check_name(std::string_view name) {
  if (is_job_name(name)) return;
  throw std::invalid_argument(
      fmt::format("job \"{}\": a name is 1 to 64 letters, digits, '-' or '_'", name.substr(0, 100)));
}

template <class T>
void check_range(std::string_view name, std::string_view what, T value, T least, T most, std::string_view unit = "") {
  if (value >= least && value <= most) return;
  throw std::invalid_argument(
      fmt::format("job \"{}\": {} is {}{}, use {} to {}", name, what, value, unit, least, most));
}

void check_time(std::string_view name, std::string_view what, std::chrono::milliseconds value,
                std::chrono::milliseconds least) {
  check_range(name, what, value.count(), least.count(), kLongest.count(), " ms");
}

}  // namespace

void check(const JobEntry& job) {
  check_name(job.name);
  if (!job.run) throw std::invalid_argument(fmt::format("job \"{}\": the handler is empty", job.name));
  const JobOptions& options = job.options;
  check_range(job.name, "attempts", options.attempts, 1U, kMostAttempts);
  check_range(job.name, "concurrency", options.concurrency, 1U, kMostConcurrency);
  check_time(job.name, "backoff", options.backoff, 1ms);
  check_time(job.name, "max_backoff", options.max_backoff, options.backoff);
  check_time(job.name, "timeout", options.timeout, 0ms);
  check_time(job.name, "keep", options.keep, 0ms);
  check_time(job.name, "keep_failed", options.keep_failed, 1ms);
}

void check_enqueue(std::string_view name, std::string_view payload, const EnqueueOptions& options) {
  check_name(name);
  check_range(name, "the size of the payload", payload.size(), std::size_t{0}, Jobs::kMaxPayload, " bytes");
  check_range(name, "the size of unique", options.unique.size(), std::size_t{0}, kLongestUnique, " bytes");
  check_range(name, "priority", options.priority, -kMostPriority, kMostPriority);
  check_time(name, "delay", options.delay, 0ms);
}

}  // namespace pronghorn::worker
