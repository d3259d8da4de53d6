#include "worker/state/jobs/schedules.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "pronghorn/redis.h"
#include "pronghorn/timer.h"
#include "worker/state/jobs/job_service.h"

namespace pronghorn::worker {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kAgain = 1s;          // after Redis could not be asked
constexpr std::chrono::milliseconds kLongestSleep = 30s;  // so that a clock that is set is noticed

}  // namespace

Schedules::Schedules(JobService& service, const std::vector<ScheduleEntry>& entries, Clock now)
    : service_(service), now_(std::move(now)) {
  running_.reserve(entries.size());
  for (const ScheduleEntry& entry : entries) {
    running_.push_back(run(entry));
    running_.back().start();
  }
}

Task<void> Schedules::run(const ScheduleEntry& entry) {
  bool told = false;
  auto next = entry.cron.next(std::chrono::floor<std::chrono::seconds>(now_()), entry.zone);
  while (next) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*next - now_());
    if (left.count() > 0) {
      co_await sleep_for(std::min(left + 1ms, kLongestSleep));
      continue;
    }
    // The last tick of those that are due: the machine may have slept.
    for (auto later = entry.cron.next(*next, entry.zone); later && *later <= now_();
         later = entry.cron.next(*next, entry.zone)) {
      next = later;
    }
    bool asked = false;
    try {
      co_await service_.tick(entry, *next);
      asked = true;
    } catch (const RedisUnavailable&) {  // logged by the client
    } catch (const RedisError& error) {
      if (!std::exchange(told, true)) {
        log_error(fmt::format("Redis refuses the schedule of the job \"{}\"", entry.job), {{"error", error.what()}});
      }
    }
    if (asked) {
      told = false;
      next = entry.cron.next(*next, entry.zone);
    } else {
      co_await sleep_for(kAgain);
    }
  }
}

}  // namespace pronghorn::worker
