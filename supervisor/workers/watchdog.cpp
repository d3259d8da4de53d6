#include "supervisor/workers/watchdog.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "supervisor/crash/exit_facts.h"

namespace pronghorn::supervisor {
namespace {

double seconds(std::uint64_t milliseconds) noexcept { return static_cast<double>(milliseconds) / 1e3; }

// A loop that goes from one request to the next is slow, not blocked.
std::uint64_t blocked_since(const WorkerRow& row, LoopSeen& seen, std::uint64_t now) noexcept {
  const std::uint64_t stamp = row.stamp_ms.load();
  const std::uint64_t began_ns = row.running.started_ns.load(std::memory_order_relaxed);
  if (stamp != seen.stamp_ms) {
    seen.since_ms = stamp;
  } else if (began_ns != seen.began_ns) {  // it may have begun long ago, and go on now
    seen.since_ms = now;
  }
  seen.stamp_ms = stamp;
  seen.began_ns = began_ns;
  return std::max(seen.since_ms, progress_ms(row, now));
}

}  // namespace

void Watchdog::look_for_hung(std::uint64_t now) {
  // If we could not run (a suspended machine, Ctrl-Z), the workers could not either: they get a second to stamp.
  const bool late = last_look_ms_ != 0 && now - last_look_ms_ > kLateMs;
  last_look_ms_ = now;
  if (late) return;
  for (const WorkerEntry& worker : slots_.workers()) {
    if (worker.state != WorkerState::ready && worker.state != WorkerState::draining) continue;
    WorkerHandle* handle = handles_.find(worker.pid);
    const WorkerRow& row = board_.worker(worker.slot, worker.row);
    if (handle == nullptr || row.pid.load() != static_cast<std::uint32_t>(worker.pid)) continue;
    const bool distributes = worker.slot == kDistributorSlot;
    const auto timeout = static_cast<std::uint64_t>(handle->config->worker_timeout.count());
    const std::uint64_t limit = distributes ? std::min(timeout, kDistributorLimitMs) : timeout;
    const std::uint64_t since = std::max(blocked_since(row, handle->seen, now), worker.ready_ms);
    if (limit == 0 || since >= now || now - since <= limit) continue;
    abort(worker, now,
          fmt::format("has been blocked for {:.1f} s{}", seconds(now - since), distributes ? "" : " (worker_timeout)"));
  }
}

void Watchdog::kill_due(std::uint64_t now) {
  for (const WorkerEntry& worker : slots_.workers()) {
    if (worker.kill_at_ms == 0 || worker.kill_at_ms > now) continue;
    if (worker.state == WorkerState::starting) {
      const WorkerHandle* handle = handles_.find(worker.pid);
      const auto limit = handle == nullptr ? 0 : static_cast<std::uint64_t>(handle->config->boot_timeout.count());
      abort(worker, now, fmt::format("was not ready after {} s (boot_timeout)", seconds(limit)));
      continue;
    }
    slots_.kill_sent(worker.pid);
    if (worker.state == WorkerState::draining) {
      const WorkerRow& row = board_.worker(worker.slot, worker.row);
      log_warning(fmt::format("{} did not exit in time: killing it with {} and {} in flight", process_name(worker.slot),
                              counted(row[Count::connections].load(), "connection"),
                              counted(row[Count::in_flight].load(), "request")),
                  {slot_field(worker.slot), {"pid", worker.pid}, {"request", running_request(row, worker.pid)}});
    }
    children_.kill(worker.pid, SIGKILL);
  }
}

// SIGABRT first: the worker then writes down where it is. A stopped process cannot.
void Watchdog::abort(const WorkerEntry& worker, std::uint64_t now, std::string why) {
  const bool stopped = process_state(worker.pid) == 'T';
  if (stopped) why += ": it is stopped by a signal";
  const std::string request = running_request(board_.worker(worker.slot, worker.row), worker.pid);
  log_error(fmt::format("{} {}{}; killing it", process_name(worker.slot), why,
                        request.empty() ? "" : " while executing " + request),
            {slot_field(worker.slot), {"pid", worker.pid}});
  if (WorkerHandle* handle = handles_.find(worker.pid); handle != nullptr && handle->failure.empty()) {
    handle->failure = "it " + why;
  }
  slots_.dying(worker.pid, now, now + kAbortGraceMs);
  children_.kill(worker.pid, stopped ? SIGKILL : SIGABRT);
}

}  // namespace pronghorn::supervisor
