#include "supervisor/recycling/recycler.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "supervisor/crash/exit_facts.h"
#include "supervisor/load/sampler.h"
#include "supervisor/recycling/memory_headroom.h"

namespace pronghorn::supervisor {
namespace {

// What recycle_requests counts.
std::uint64_t work_done(const WorkerRow& row, std::uint32_t slot) noexcept {
  if (!is_job_slot(slot)) return row[Count::requests].load();
  return row[Count::jobs_done].load() + row[Count::jobs_retried].load() + row[Count::jobs_failed].load();
}

}  // namespace

void Recycler::tick(std::uint64_t now) {
  const auto workers = facts(now);
  const bool limited = std::ranges::any_of(workers, [](const RecycleFacts& worker) {
    return worker.unguarded || worker.limits.requests != 0 || worker.limits.age_ms != 0 || worker.limits.memory != 0;
  });
  if (!limited) return;
  const auto room = memory_room(groups_);
  const auto headroom = room ? std::optional(room->headroom) : std::nullopt;
  const auto advice = policy_.next(workers, workers_.slots().target(), headroom, now);
  if (!advice.warning.empty()) log_warning(advice.warning);
  if (advice.step) take(*advice.step, now);
}

Milliseconds Recycler::watch_memory(std::uint64_t now, bool may_replace) {
  const auto room = memory_room(groups_);
  if (!room) return kMemoryPeriod;
  const std::uint64_t reserve = RecyclingPolicy::reserve(room->limit);
  if (room->headroom >= reserve) {
    static_cast<void>(policy_.relieve({}, *room, now));  // what it has returned no longer holds
    return room->headroom >= 2 * reserve ? kMemoryPeriod : kTightMemoryPeriod;
  }
  const auto users = memory_users();
  if (const int pid = policy_.sacrifice(users, *room); pid != 0) {
    constexpr double kMiB = 1024 * 1024;
    workers_.kill(pid,
                  fmt::format("it used the most memory, and the cgroup's memory limit ({:.0f} MiB) was nearly "
                              "reached ({:.1f} MiB left)",
                              static_cast<double>(room->limit) / kMiB, static_cast<double>(room->headroom) / kMiB));
  } else if (may_replace) {
    relieve(users, *room, now);
  }
  return kTightMemoryPeriod;
}

void Recycler::relieve(const std::vector<RecycleFacts>& users, const MemoryRoom& room, std::uint64_t now) {
  std::vector<RecycleFacts> replaceable = facts(now);
  for (RecycleFacts& worker : replaceable) {
    const auto user = std::ranges::find(users, worker.pid, &RecycleFacts::pid);
    if (user != users.end()) worker.memory = user->memory;
  }
  const auto advice = policy_.relieve(replaceable, room, now);
  if (!advice.warning.empty()) log_warning(advice.warning);
  if (advice.step) take(*advice.step, now);
}

// Ready workers and those that drain.
std::vector<RecycleFacts> Recycler::memory_users() const {
  std::vector<RecycleFacts> all;
  for (const WorkerEntry& worker : workers_.slots().workers()) {
    if (!is_worker_slot(worker.slot) && !is_job_slot(worker.slot)) continue;
    if (worker.state != WorkerState::ready && worker.state != WorkerState::draining) continue;
    all.push_back({.slot = worker.slot, .pid = worker.pid, .memory = proportional_bytes(worker.pid), .limits = {}});
  }
  return all;
}

void Recycler::take(const RecyclingPolicy::Step& step, std::uint64_t now) {
  const LogField fields[] = {slot_field(step.slot), {"pid", step.pid}, {"reason", step.reason}};
  const auto tell = [&](std::string_view how) {
    write_log(LogLevel::info,
              fmt::format("replacing {} (pid {}){}: {}", process_name(step.slot), step.pid, how, step.reason), fields,
              std::size(fields));
  };
  if (step.way == RecyclingPolicy::Way::drain_first) {
    tell(", the old process first because memory does not suffice for both");
    add(board_.slot(step.slot)[Count::recycled]);
    return workers_.drain_before_start(step.pid);
  }
  launch_ = workers_.launch_of(step.slot);
  const auto pid = workers_.start_successor(step.slot, launch_);
  if (!pid) {
    log_error(fmt::format("{} is not replaced ({}): cannot start its successor: {}", process_name(step.slot),
                          step.reason, pid.error()));
    return policy_.failed(now);
  }
  tell("");
  policy_.started(*pid);
}

void Recycler::on_ready(const WorkerEntry& worker) {
  policy_.began(worker.pid, work_done(board_.worker(worker.slot, worker.row), worker.slot), resident_bytes(worker.pid));
  if (worker.pid != policy_.successor()) return;
  policy_.successor_is_ready();
  add(board_.slot(worker.slot)[Count::recycled]);
  workers_.commit(worker.pid, std::exchange(launch_, {}));
}

void Recycler::on_exit(const WorkerEntry& worker) {
  if (worker.pid == policy_.successor()) {
    // Its slot was scaled away while it started.
    if (worker.leaving) return policy_.gone(policy_.replaced());
    log_error(fmt::format("{} is not replaced: its successor did not become ready", process_name(worker.slot)));
    return policy_.failed(monotonic_ms());
  }
  policy_.gone(worker.pid);
}

std::vector<RecycleFacts> Recycler::facts(std::uint64_t now) const {
  std::vector<RecycleFacts> all;
  const auto add_facts = [&](std::uint32_t slot) {
    const WorkerEntry* worker = workers_.slots().ready_worker(slot);
    if (worker == nullptr || !workers_.slots().can_surge(slot)) return;
    all.push_back({.slot = slot,
                   .pid = worker->pid,
                   .requests = work_done(board_.worker(slot, worker->row), slot),
                   .age_ms = now - std::min(now, worker->ready_ms),
                   .memory = board_.slot(slot).rss_bytes.load(),
                   .limits = recycle_limits(*workers_.launch_of(slot).config),
                   .unguarded = board_.slot(slot).unguarded_pid.load() == static_cast<std::uint32_t>(worker->pid)});
  };
  for (std::uint32_t slot = 0; slot < workers_.slots().target(); ++slot) add_facts(slot);
  for (std::uint32_t slot = kFirstJobSlot; slot < kMaxSlots && workers_.slots().wanted(slot); ++slot) add_facts(slot);
  return all;
}

}  // namespace pronghorn::supervisor
