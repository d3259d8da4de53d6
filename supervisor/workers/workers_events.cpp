// What happens to workers: their messages, their exits, the watchdog, and what others get to know of it.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "common/log.h"
#include "supervisor/crash/exit_facts.h"
#include "supervisor/system/errors.h"
#include "supervisor/workers/blame.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {
namespace {

// "restarting slot 1 in 400 ms: 3 exits in 12 s"
std::string restart_text(const Slots::Exit& exit) {
  const std::uint32_t slot = exit.worker.slot;
  if (exit.delay.count() == 0) return fmt::format("restarting slot {} now", slot);
  const auto within = static_cast<double>(monotonic_ms() - exit.series.began_ms) / 1e3;
  return fmt::format("restarting slot {} in {} ms: {} exit{} in {:.3g} s", slot, exit.delay.count(), exit.series.exits,
                     exit.series.exits == 1 ? "" : "s", within);
}

}  // namespace

void Workers::on_message(WorkerHandle& handle, const Message& message, int fd) {
  if (fd >= 0) ::close(fd);  // no message to us brings one
  const WorkerEntry* worker = slots_.find(handle.pid);
  if (worker == nullptr) return;
  switch (message.kind) {
    case MessageKind::ready: {
      if (worker->state != WorkerState::starting) return;
      slots_.ready(handle.pid, monotonic_ms());
      const WorkerEntry ready = *worker;
      if (ready.slot != kAdminSlot) ever_ready_ = true;
      log_debug(process_name(ready.slot) + " is ready",
                {{"slot", ready.slot}, {"pid", ready.pid}, {"boot_ms", ready.ready_ms - ready.started_ms}});
      callbacks_.on_ready(ready);
      break;
    }
    case MessageKind::failed:
      handle.failure = message.text;
      break;
    case MessageKind::accepted:
      callbacks_.on_accepted(handle.pid, message.number);
      break;
    case MessageKind::kill_identified:
    case MessageKind::quarantined:
    case MessageKind::quarantine_ended:
      callbacks_.on_quarantine(message);
      break;
    default:
      break;  // of another build, or ours to send
  }
}

void Workers::on_closed(WorkerHandle& handle) {
  // It is about to exit. One that lives on without its channel would never hear of us again.
  slots_.kill_at(handle.pid, monotonic_ms() + kClosedGraceMs);
}

void Workers::on_exit(const ChildExit& how) {
  const std::uint64_t now = monotonic_ms();
  const auto exit = slots_.exited(how.pid, now, jitter());
  if (!exit) return;
  const WorkerEntry& worker = exit->worker;
  std::string reason = describe(how);
  std::string own_words;
  if (const WorkerHandle* worker_handle = handle(how.pid)) own_words = worker_handle->failure;
  if (!own_words.empty()) reason += ": " + own_words;
  const bool hopeless = exit->counts && is_hopeless(worker, how);
  WorkerRow& row = environment_.board.worker(worker.slot, worker.row);
  if (!hopeless) {
    explain_exit(*exit, how, reason);
  } else if (how.signal != 0) {
    static_cast<void>(write_report(worker, how, reason));  // what it said itself, or its status, needs no report
  }
  if (const std::string request = killing_request(*exit, how, row); !request.empty()) callbacks_.on_killed(request);
  release_row(row, worker.pid);
  handles_.erase(how.pid);
  publish(worker.slot, now);
  callbacks_.on_exit(worker, reason);
  if (hopeless)
    callbacks_.on_cannot_start(own_words.empty() ? fmt::format("{} ended with {}", process_name(worker.slot), reason)
                                                 : own_words);
}

CrashReports::Written Workers::write_report(const WorkerEntry& worker, const ChildExit& how,
                                            const std::string& reason) {
  if (environment_.reports == nullptr) return {};
  const WorkerHandle* owner = handle(worker.pid);
  const bool current = worker.slot != kAdminSlot && slots_.current(worker.slot) == nullptr;
  const std::uint64_t rss = current ? environment_.board.slot(worker.slot).rss_bytes.load() : 0;
  const bool killed_by_us = worker.state == WorkerState::dying || worker.state == WorkerState::draining;
  return environment_.reports->write(worker, environment_.board.worker(worker.slot, worker.row), how, reason, rss,
                                     killed_by_us, owner != nullptr ? *owner->config : *launch_.config,
                                     owner != nullptr ? owner->app : nullptr);
}

void Workers::explain_exit(const Slots::Exit& exit, const ChildExit& how, const std::string& cause) {
  const WorkerEntry& worker = exit.worker;
  const auto uptime = static_cast<double>(monotonic_ms() - worker.started_ms) / 1e3;
  const std::string name = process_name(worker.slot);
  if (!exit.counts && how.signal == 0 && how.status == 0) {
    log_info(name + " has stopped",
             {{"slot", worker.slot}, {"pid", worker.pid}, {"uptime_s", fmt::format("{:.1f}", uptime), false}});
    return;
  }
  const std::string request = running_request(environment_.board.worker(worker.slot, worker.row), worker.pid);
  // When the application cannot start, the others die of the same; that is told once.
  const bool told = stopping_ && !ever_ready_;
  CrashReports::Written report;
  // It has told why it cannot start.
  const bool own_words = how.signal == 0 && how.status == kExitApplication && worker.ready_ms == 0;
  const bool unasked = exit.counts || worker.state == WorkerState::dying;
  if (unasked && !told && !own_words) report = write_report(worker, how, cause);
  const std::string reason = report.verdict.empty() ? cause : cause + ": " + report.verdict;
  if (worker.slot != kAdminSlot) record_exit(environment_.board.slot(worker.slot), reason, request, report.name);
  std::string line = fmt::format("{} (pid {}) ended after {:.1f} s {}: {}", name, worker.pid, uptime,
                                 request.empty() ? "while idle" : "while executing " + request, reason);
  if (exit.replaced) {
    if (worker.slot != kAdminSlot) add(environment_.board.slot(worker.slot)[Count::restarts]);
    line += "; " + restart_text(exit);
  }
  const LogField fields[] = {{"slot", worker.slot}, {"pid", worker.pid},
                             {"reason", reason},    {"uptime_s", fmt::format("{:.1f}", uptime), false},
                             {"request", request},  {"report", report.path}};
  const LogLevel level = unasked ? LogLevel::error : LogLevel::warning;
  write_log(told ? LogLevel::debug : level, line, fields, std::size(fields) - (report.path.empty() ? 1 : 0));
}

// Before any worker was ever ready, an exit can mean that the application does not work at all.
bool Workers::is_hopeless(const WorkerEntry& worker, const ChildExit& how) {
  if (ever_ready_ || stopping_ || worker.slot == kAdminSlot) return false;
  const bool every_slot = every_slot_failed(worker.slot);
  const bool cannot_start = how.signal == 0 && how.status == kExitApplication;
  return cannot_start || worker.state == WorkerState::dying || every_slot;
}

bool Workers::every_slot_failed(std::uint32_t slot) {
  failed_slots_.insert(slot);
  return failed_slots_.size() >= slots_.target();
}

void Workers::watch() {
  const std::uint64_t now = monotonic_ms();
  // When we could not run ourselves (a stopped machine, Ctrl-Z), the workers could not either: give them a turn to
  // stamp.
  const bool late = last_watch_ms_ != 0 && now - last_watch_ms_ > 3'000;
  last_watch_ms_ = now;
  if (late) return;
  for (const WorkerEntry& worker : slots_.workers()) {
    if (worker.state != WorkerState::ready && worker.state != WorkerState::draining) continue;
    const auto limit = static_cast<std::uint64_t>(config_of(worker).worker_timeout.count());
    const WorkerRow& row = environment_.board.worker(worker.slot, worker.row);
    if (limit == 0 || row.pid.load() != static_cast<std::uint32_t>(worker.pid)) continue;
    const std::uint64_t stamp = std::max(row.stamp_ms.load(), worker.ready_ms);
    if (stamp >= now || now - stamp <= limit) continue;
    abort_worker(worker, now,
                 fmt::format("has stood still for {:.1f} s (worker_timeout)", static_cast<double>(now - stamp) / 1e3));
  }
}

// --- Covers ---------------------------------------------------------------------------------------------------------

void Workers::update_covers(std::uint64_t now) {
  std::vector<Covers::Slot> view;
  for (std::uint32_t slot = 0; slot < environment_.listeners.slots(); ++slot) {
    // When the server stops, those that still drain take the clients of those that have gone.
    const WorkerEntry* worker = stopping_ ? slots_.current(slot) : slots_.ready_worker(slot);
    const std::uint64_t since = slots_.unserved_since(slot);
    // A removed slot gets no worker again: nothing to wait for.
    const bool waited = !slots_.wanted(slot) || (since != 0 && now - since >= kCoverAfterMs);
    view.push_back({slot, worker == nullptr && waited && environment_.listeners.live(slot), worker ? worker->pid : 0});
  }
  for (const Covers::Change& change : covers_.update(view)) {
    if (!change.cover) {
      send(change.pid, {MessageKind::uncover, change.slot, {}});
    } else if (send_cover(change.pid, change.slot)) {
      log_debug(fmt::format("worker {} accepts for slot {} too", slots_.find(change.pid)->slot, change.slot));
    } else {
      covers_.forget(change.slot);
    }
  }
}

// A worker that was started before the slot had sockets gets them with the message, one message a socket.
bool Workers::send_cover(int pid, std::uint32_t slot) {
  const WorkerHandle* coverer = handle(pid);
  if (coverer == nullptr) return false;
  if (slot < coverer->known_slots) return send(pid, {MessageKind::cover, slot, {}});
  for (const auto& listener : environment_.listeners.all()) {
    if (listener.slot == slot && !send(pid, {MessageKind::cover, slot, {}}, listener.fd)) return false;
  }
  return true;
}

std::uint64_t Workers::next_cover(std::uint64_t now) const noexcept {
  std::uint64_t next = 0;
  for (std::uint32_t slot = 0; slot < slots_.target(); ++slot) {
    const std::uint64_t since = slots_.unserved_since(slot);
    if (since == 0 || now - since >= kCoverAfterMs) continue;
    const std::uint64_t due = since + kCoverAfterMs;
    next = next == 0 ? due : std::min(next, due);
  }
  return next;
}

// --- The scoreboard -------------------------------------------------------------------------------------------------

void Workers::publish(std::uint32_t slot, std::uint64_t now) noexcept {
  if (slot == kAdminSlot) return;  // it would be listed among the workers
  SlotRow& row = environment_.board.slot(slot);
  const WorkerEntry* worker = slots_.current(slot);
  const WorkerEntry* other = slots_.other(slot);
  const bool replaced = other != nullptr && other->state != WorkerState::starting;
  row.state.store(slots_.state(slot, now));
  row.old_pid.store(replaced ? static_cast<std::uint32_t>(other->pid) : 0);
  row.pid.store(worker != nullptr ? static_cast<std::uint32_t>(worker->pid) : 0);
  const auto backoff = slots_.backoff(slot, now);
  row.backoff_exits.store(backoff ? backoff->series.exits : 0);
  row.backoff_began_ms.store(backoff ? backoff->series.began_ms : 0);
  row.backoff_until_ms.store(backoff ? backoff->until_ms : 0);
  if (worker == nullptr) return;
  row.row.store(worker->row);
  row.generation.store(worker->generation);
  row.started_ms.store(worker->started_ms);
}

void Workers::publish_all(std::uint64_t now) noexcept {
  std::uint32_t used = slots_.target();
  for (std::uint32_t slot = 0; slot < std::min(environment_.listeners.slots(), kMaxWorkers); ++slot) {
    publish(slot, now);
    if (slots_.current(slot) != nullptr) used = std::max(used, slot + 1);
  }
  environment_.board.server().slots.store(used);
}

}  // namespace pronghorn::supervisor
