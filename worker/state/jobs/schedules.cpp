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

// The last tick at or before `now`, `due` at least: the machine may have slept for long, or its clock was set forward by
// years.
std::chrono::sys_seconds last_tick(const ScheduleEntry& entry, std::chrono::sys_seconds due,
                                   std::chrono::sys_seconds now) {
  for (std::chrono::seconds back = 1min; now - back > due; back *= 2) {
    const auto later = entry.cron.next(now - back, entry.zone);
    if (!later || *later > now) continue;
    due = *later;
    break;
  }
  for (auto later = entry.cron.next(due, entry.zone); later && *later <= now;) {
    due = *later;
    later = entry.cron.next(due, entry.zone);
  }
  return due;
}

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
  Told told;
  auto seen = std::chrono::floor<std::chrono::seconds>(now_());
  auto next = entry.cron.next(seen, entry.zone);
  while (next) {
    const auto now = now_();
    const auto second = std::chrono::floor<std::chrono::seconds>(now);
    if (second < seen) next = entry.cron.next(second, entry.zone);  // the clock was set back
    seen = second;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*next - now);
    if (left.count() > 0) {
      co_await sleep_for(std::min(left + 1ms, kLongestSleep));
      continue;
    }
    next = last_tick(entry, *next, second);
    const auto outcome = co_await ask(entry, *next, told);
    if (!outcome) {
      co_await sleep_for(kAgain);
    } else if (*outcome == Tick::early) {
      co_await sleep_for(kLongestSleep);
    } else {
      next = entry.cron.next(*next, entry.zone);
    }
  }
}

Task<std::optional<Tick>> Schedules::ask(const ScheduleEntry& entry, std::chrono::sys_seconds tick, Told& told) {
  try {
    const Tick outcome = co_await service_.tick(entry, tick);
    told.refused = false;
    if (outcome != Tick::early) {
      told.early = false;
    } else if (!std::exchange(told.early, true)) {
      log_error("the clock of this machine is more than an hour ahead of that of Redis: its schedules wait");
    }
    co_return outcome;
  } catch (const RedisUnavailable&) {  // logged by the client
  } catch (const RedisError& error) {
    if (!std::exchange(told.refused, true)) {
      log_error(fmt::format("Redis refuses the schedule of the job \"{}\"", entry.job), {{"error", error.what()}});
    }
  }
  co_return std::nullopt;
}

}  // namespace pronghorn::worker
