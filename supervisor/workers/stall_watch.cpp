#include "supervisor/workers/stall_watch.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>

#include "common/log.h"
#include "supervisor/crash/exit_facts.h"

namespace pronghorn::supervisor {

LoopSight sight_of(const WorkerRow& row) noexcept {
  const bool active = row.running.active.load(std::memory_order_acquire) != 0;
  return {.stamp_ms = row.stamp_ms.load(std::memory_order_relaxed),
          .busy = active || row.waiting.load(std::memory_order_relaxed) == 0,
          .running_since_ms = active ? row.running.started_ns.load(std::memory_order_relaxed) / 1'000'000 : 0};
}

std::uint64_t BusyLoop::see(const LoopSight& sight, std::uint64_t now) noexcept {
  const bool turned = sight.stamp_ms != stamp_ms_;
  if (!sight.busy || turned || since_ms_ == 0) {
    stamp_ms_ = sight.stamp_ms;
    // A request that began after the last turn runs since then, or other callbacks of the same turn do.
    const bool began_since = sight.running_since_ms > sight.stamp_ms && sight.running_since_ms <= now;
    since_ms_ = !sight.busy ? 0 : began_since ? sight.running_since_ms : now;
    if (!sight.busy || turned) noticed_ = false;
  }
  return since_ms_ == 0 ? 0 : now - since_ms_;
}

Milliseconds StallWatch::period(Milliseconds threshold) noexcept {
  constexpr Milliseconds kLongest{kCoverAfterMs / 2};
  return threshold.count() == 0 ? kLongest : std::clamp(threshold / 2, Milliseconds(10), kLongest);
}

std::set<int> StallWatch::look(std::uint64_t now) {
  std::set<int> still;
  std::erase_if(watched_, [this](const auto& entry) { return workers_.slots().find(entry.first) == nullptr; });
  for (const WorkerEntry& worker : workers_.slots().workers()) {
    if (worker.state != WorkerState::ready && worker.state != WorkerState::draining) continue;
    const WorkerHandle* handle = workers_.handle(worker.pid);
    const WorkerRow& row = board_.worker(worker.slot, worker.row);
    if (handle == nullptr || row.pid.load() != static_cast<std::uint32_t>(worker.pid)) continue;
    Watched& watched = watched_[worker.pid];
    const LoopSight sight = sight_of(row);
    const std::uint64_t lasted = watched.loop.see(sight, now);
    const bool silent = now > sight.stamp_ms && now - sight.stamp_ms >= kSilentMs;
    if (worker.state == WorkerState::ready && (silent || lasted >= kCoverAfterMs)) still.insert(worker.pid);
    const auto threshold = handle->config->stall_threshold.count();
    if (threshold > 0) ask_for_stack(worker, watched, lasted, static_cast<std::uint64_t>(threshold), now);
  }
  return still;
}

void StallWatch::ask_for_stack(const WorkerEntry& worker, Watched& watched, std::uint64_t lasted,
                               std::uint64_t threshold, std::uint64_t now) {
  const WorkerRow& row = board_.worker(worker.slot, worker.row);
  const std::uint32_t taken = row.stall.taken.load(std::memory_order_acquire);
  if (watched.waits && (taken != watched.taken || now - watched.asked_ms > kAnswerMs)) {
    watched.waits = false;
    tell(worker, watched, taken != watched.taken);
  }
  if (lasted < threshold || !watched.loop.first()) return;
  if (watched.asked_ms != 0 && now - watched.asked_ms < kBetweenStacksMs) return;
  watched.asked_ms = now;
  watched.lasted_ms = lasted;
  watched.taken = taken;
  watched.waits = true;
  children_.kill(worker.pid, SIGURG);
}

void StallWatch::tell(const WorkerEntry& worker, const Watched& watched, bool answered) {
  const WorkerRow& row = board_.worker(worker.slot, worker.row);
  const std::string who = fmt::format("{} (pid {})", process_name(worker.slot), worker.pid);
  if (!answered) {  // stopped by a signal, or in an uninterruptible system call
    const std::string request = running_request(row, worker.pid);
    log_warning(fmt::format("{} has been blocked for {} ms and gives no stack", who, watched.lasted_ms + kAnswerMs),
                {slot_field(worker.slot), {"pid", worker.pid}, {"request", request}});
    return;
  }
  const std::string line = row.stall.id.number == 0 ? "" : ", in " + text_of(row.stall.line);
  symbolizer_.ask(frames_of(row.stall.stack, row.modules),
                  [message = fmt::format("{} has been blocked for {} ms{}", who, watched.lasted_ms, line),
                   slot = worker.slot, pid = worker.pid, id = id_of(row.stall)](const std::vector<Frame>& frames) {
                    log_warning(message,
                                {slot_field(slot), {"pid", pid}, {"request", id}, {"stack", describe_top(frames)}});
                  });
}

}  // namespace pronghorn::supervisor
