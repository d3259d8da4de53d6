#include "supervisor/recycling/recycling_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "common/ipc/scoreboard.h"
#include "supervisor/crash/exit_facts.h"

namespace pronghorn::supervisor {
namespace {

double staggered(std::uint64_t limit, std::uint32_t slot, std::uint32_t slots) noexcept {
  if (is_job_slot(slot)) {
    slot -= kFirstJobSlot;
    slots = kMaxJobWorkers;
  }
  const double part = slots == 0 ? 0.0 : static_cast<double>(slot) / (8.0 * static_cast<double>(slots));
  return static_cast<double>(limit) * (1.0 + part);
}

// Whether the worker may end before its successor has started. Not the only ready one that serves requests; jobs wait.
bool may_end_first(const RecycleFacts& worker, const std::vector<RecycleFacts>& workers) noexcept {
  const auto serves = [](const RecycleFacts& each) { return !is_job_slot(each.slot); };
  return !serves(worker) || std::ranges::count_if(workers, serves) > 1;
}

const char* unit_of(const RecycleFacts& worker) noexcept { return is_job_slot(worker.slot) ? "jobs" : "requests"; }

std::string mebibytes(std::uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1024.0 * 1024.0));
}

}  // namespace

RecycleLimits recycle_limits(const Config& config) noexcept {
  return {config.recycle_requests,
          static_cast<std::uint64_t>(std::max<Milliseconds::rep>(config.recycle_age.count(), 0)),
          config.recycle_memory};
}

RecyclingPolicy::Advice RecyclingPolicy::next(const std::vector<RecycleFacts>& workers, std::uint32_t slots,
                                              std::optional<std::uint64_t> headroom, std::uint64_t now) {
  note(workers);
  if (busy() || now < not_before_ms_) return {};
  Advice advice;
  std::optional<Due> worst;
  for (const RecycleFacts& worker : workers) {
    if (advice.warning.empty()) advice.warning = starts_too_large(worker);
    auto candidate = due(worker, slots);
    if (candidate && (!worst || candidate->excess > worst->excess)) worst = std::move(candidate);
  }
  if (!worst) {
    waiting_since_ms_ = 0;
    return advice;
  }
  const RecycleFacts& worker = *worst->worker;
  Way way = Way::surge;
  if (headroom && *headroom < worker.memory) {
    if (waiting_since_ms_ == 0) {
      waiting_since_ms_ = now;
      advice.warning = fmt::format(
          "{} (pid {}) is not replaced yet ({}): a second one of {} does not fit into the cgroup's memory, "
          "which has {} left; waiting for {} s",
          process_name(worker.slot), worker.pid, worst->reason, mebibytes(worker.memory), mebibytes(*headroom),
          kPatienceMs / 1000);
    }
    if (now - waiting_since_ms_ < kPatienceMs || !may_end_first(worker, workers)) return advice;
    way = Way::drain_first;
  }
  waiting_since_ms_ = 0;
  replaced_ = worker.pid;
  successor_ = 0;
  advice.step = Step{worker.slot, worker.pid, way, std::move(worst->reason)};
  return advice;
}

std::uint64_t RecyclingPolicy::reserve(std::uint64_t limit) noexcept {
  constexpr std::uint64_t kMost = 512U << 20;
  return std::min(limit / 5, kMost);
}

const RecycleFacts* RecyclingPolicy::largest_grown(const std::vector<RecycleFacts>& workers) const {
  constexpr std::uint64_t kGrowth = 8U << 20;
  const RecycleFacts* largest = nullptr;
  for (const RecycleFacts& worker : workers) {
    const auto began = baselines_.find(worker.pid);
    if (began == baselines_.end()) continue;
    const std::uint64_t at_first = began->second.memory;
    if (worker.memory < at_first + std::max(at_first / 2, kGrowth)) continue;
    if (largest == nullptr || worker.memory > largest->memory) largest = &worker;
  }
  return largest;
}

RecyclingPolicy::Advice RecyclingPolicy::relieve(const std::vector<RecycleFacts>& workers, const MemoryRoom& room,
                                                 std::uint64_t now) {
  if (room.headroom >= reserve(room.limit)) {
    told_full_ = false;
    return {};
  }
  note(workers);
  if (busy() || now < not_before_ms_) return {};
  const RecycleFacts* worker = largest_grown(workers);
  Advice advice;
  if (worker == nullptr) {
    if (std::exchange(told_full_, true)) return {};
    advice.warning = fmt::format(
        "the cgroup {} has only {} left of {}, and no worker has grown: raise its limit, or run fewer workers",
        room.group.string(), mebibytes(room.headroom), mebibytes(room.limit));
    return advice;
  }
  const std::uint64_t fresh = baselines_.at(worker->pid).memory;
  const bool fits = room.headroom >= fresh + last_reserve(room.limit);
  replaced_ = worker->pid;
  successor_ = 0;
  waiting_since_ms_ = 0;
  advice.step =
      Step{worker->slot, worker->pid, fits || !may_end_first(*worker, workers) ? Way::surge : Way::drain_first,
           fmt::format("{} of memory, the most of {} workers, and the cgroup {} has {} left of {}",
                       mebibytes(worker->memory), workers.size(), room.group.string(), mebibytes(room.headroom),
                       mebibytes(room.limit))};
  return advice;
}

int RecyclingPolicy::sacrifice(const std::vector<RecycleFacts>& workers, const MemoryRoom& room) {
  if (sacrificed_ != 0 || room.headroom >= last_reserve(room.limit)) return 0;
  const RecycleFacts* worker = largest_grown(workers);
  return worker == nullptr ? 0 : sacrificed_ = worker->pid;
}

void RecyclingPolicy::began(int pid, std::uint64_t requests, std::uint64_t memory) {
  baselines_.insert_or_assign(pid, Baseline{requests, memory});
}

void RecyclingPolicy::failed(std::uint64_t now) noexcept {
  replaced_ = 0;
  successor_ = 0;
  not_before_ms_ = now + kRetryMs;
}

void RecyclingPolicy::gone(int pid) noexcept {
  baselines_.erase(pid);
  if (pid == sacrificed_) sacrificed_ = 0;
  if (pid != replaced_) return;
  replaced_ = 0;
  successor_ = 0;
}

// The counter of a row continues from one worker to the next, so it starts with the requests of earlier workers.
void RecyclingPolicy::note(const std::vector<RecycleFacts>& workers) {
  for (const RecycleFacts& worker : workers) {
    Baseline& baseline = baselines_.try_emplace(worker.pid, Baseline{worker.requests, worker.memory}).first->second;
    if (baseline.memory == 0) baseline.memory = worker.memory;
  }
}

std::optional<RecyclingPolicy::Due> RecyclingPolicy::due(const RecycleFacts& worker, std::uint32_t slots) const {
  if (worker.unguarded) return Due{&worker, std::numeric_limits<double>::infinity(), "its guardian has ended"};
  const Baseline& baseline = baselines_.at(worker.pid);
  const RecycleLimits& limits = worker.limits;
  std::optional<Due> worst;
  const auto check = [&](std::uint64_t value, double limit, auto&& reason) {
    if (limit <= 0 || static_cast<double>(value) < limit) return;
    const double excess = static_cast<double>(value) / limit;
    if (!worst || excess > worst->excess) worst = Due{&worker, excess, reason()};
  };
  const std::uint64_t requests = worker.requests - std::min(baseline.requests, worker.requests);
  check(requests, staggered(limits.requests, worker.slot, slots),
        [&] { return fmt::format("{} {}, recycle_requests is {}", requests, unit_of(worker), limits.requests); });
  check(worker.age_ms, staggered(limits.age_ms, worker.slot, slots), [&] {
    return fmt::format("{:.1f} s old, recycle_age is {} s", static_cast<double>(worker.age_ms) / 1e3,
                       static_cast<double>(limits.age_ms) / 1e3);
  });
  if (baseline.memory < limits.memory) {
    check(worker.memory, static_cast<double>(limits.memory), [&] {
      return fmt::format("{} of memory, recycle_memory is {}", mebibytes(worker.memory), mebibytes(limits.memory));
    });
  }
  return worst;
}

// A worker that starts above the limit is not replaced for it: the next one would be no smaller.
std::string RecyclingPolicy::starts_too_large(const RecycleFacts& worker) {
  const Baseline& baseline = baselines_.at(worker.pid);
  if (worker.limits.memory == 0 || baseline.memory < worker.limits.memory || told_too_large_) return {};
  told_too_large_ = true;
  return fmt::format(
      "recycle_memory is {}, but {} used {} when it became ready: it is not replaced for its memory; raise "
      "recycle_memory",
      mebibytes(worker.limits.memory), process_name(worker.slot), mebibytes(baseline.memory));
}

}  // namespace pronghorn::supervisor
