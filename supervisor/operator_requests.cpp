// What operators ask of SupervisorProcess, and what it tells the service manager.
#include <fmt/format.h>

#include <exception>
#include <set>
#include <utility>

#include "common/log.h"
#include "supervisor/supervisor_process.h"

namespace pronghorn::supervisor {

void SupervisorProcess::reload(Rollouts::Waiter waiter, std::optional<Milliseconds> canary) {
  if (!may_roll_out(waiter)) return;
  tell_reload();
  rollouts_.request(std::move(waiter), canary);
  schedule();
}

void SupervisorProcess::rollback(Rollouts::Waiter waiter) {
  if (!may_roll_out(waiter)) return;
  rollouts_.rollback(std::move(waiter));
  tell_manager();
}

// False: the waiter and the log have been told why not.
bool SupervisorProcess::may_roll_out(const Rollouts::Waiter& waiter) {
  if (phase_ == Phase::running && announced_ && !replacement_.busy()) return true;
  const std::string reason = stopping()   ? "the server is stopping"
                             : announced_ ? "the supervisor's program is being replaced"
                                          : "the server is still starting";
  log_warning("no rollout: " + reason);
  if (waiter.checked) waiter.checked(reason);
  if (waiter.finished) waiter.finished(reason);
  return false;
}

void SupervisorProcess::replace_program(ProgramReplacement::Waiter waiter) {
  if (phase_ == Phase::running && announced_ && !rollouts_.busy() && !recycler_.surging() && !replacement_.busy()) {
    return replacement_.begin(std::move(waiter));
  }
  const std::string error = "the program is not replaced: the server is starting, stopping, or replacing workers";
  log_warning(error);
  if (waiter) waiter(error);
}

std::string SupervisorProcess::status_line() const {
  const Slots& slots = workers_.slots();
  return fmt::format("{} of {} workers ready, generation {}", slots.ready_slots(), slots.target(),
                     rollouts_.launch().generation);
}

// Call before a reload begins: it may fail within the same turn of the loop, and the service manager waits for
// RELOADING=1. tell_manager() sends the READY=1 that must follow.
void SupervisorProcess::tell_reload() {
  if (std::exchange(told_reload_, true)) return;
  manager_.reloading("replacing workers");
}

// After every event: the service manager learns that a rollout has ended, and how many workers are ready.
void SupervisorProcess::tell_manager() {
  if (!announced_ || stopping()) return;
  if (rollouts_.busy() == told_reload_) {
    if (!told_reload_) manager_.status(status_line());
    return;
  }
  if (rollouts_.busy()) return tell_reload();
  told_reload_ = false;
  manager_.ready(status_line());
}

// The service manager passes them to the next process of this service if this one crashes, so that no connection is
// refused meanwhile. Those of slots that are added later follow within a second.
void SupervisorProcess::store_listeners() {
  for (const Listeners::Listener& listener : ground_.listeners.all()) {
    if (listener.slot && !ground_.listeners.live(*listener.slot)) continue;
    const std::string name = Listeners::stored_name(listener);
    if (stored_.emplace(name, listener.fd).second) manager_.keep(listener.fd, name);
  }
}

// Also when the server ends in order: a restart of the service continues with them.
void SupervisorProcess::store_ticket_keys() {
  if (ground_.ticket_keys) manager_.keep(ground_.ticket_keys->fd(), kTicketKeysName);
}

// Nobody would answer clients that wait in the queue of a stored socket once this process has ended in order.
void SupervisorProcess::close_listeners() {
  std::set<std::string> names;
  for (const auto& [name, fd] : stored_) names.insert(name);
  for (const std::string& name : names) manager_.forget(name);
  stored_.clear();
  ground_.listeners.close();
}

// Somebody has deleted the socket's file: no command arrives any more, but signals do.
void SupervisorProcess::restore_control() {
  try {
    control_.restore_file();
  } catch (const std::exception& error) {
    log_error(fmt::format("the control socket cannot be restored: {}", error.what()));
  }
}

void SupervisorProcess::reopen_logs() {
  reopen_log();
  workers_.send_all({MessageKind::reopen_logs, 0, {}});
  log_info("log files reopened");
}

std::string SupervisorProcess::change_log_level(const std::string& level) {
  try {
    set_log_level(level);
  } catch (const std::exception& error) {
    return error.what();
  }
  log_level_ = level;
  workers_.send_all({MessageKind::log_level, 0, level});
  log_info(fmt::format("the log level is {} until the next reload", level));
  return {};
}

std::expected<std::uint32_t, std::string> SupervisorProcess::scale(std::int64_t workers, bool relative) {
  if (phase_ != Phase::running) return std::unexpected("the server is starting or stopping");
  auto scaled = relative ? scaling_.step(workers) : scaling_.set(workers);
  schedule();
  return scaled;
}

}  // namespace pronghorn::supervisor
