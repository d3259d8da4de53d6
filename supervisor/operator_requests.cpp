// What operators ask of SupervisorProcess.
#include <fmt/format.h>

#include <exception>
#include <utility>

#include "common/log.h"
#include "supervisor/supervisor_process.h"

namespace pronghorn::supervisor {

void SupervisorProcess::reload(Rollouts::Waiter waiter, std::optional<Milliseconds> canary) {
  if (!may_roll_out(waiter)) return;
  report_.rollout_begins();
  rollouts_.request(std::move(waiter), canary);
  schedule();
}

void SupervisorProcess::rollback(Rollouts::Waiter waiter) {
  if (!may_roll_out(waiter)) return;
  rollouts_.rollback(std::move(waiter));
  if (rollouts_.busy()) report_.rollout_begins();
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

void SupervisorProcess::reopen_logs() {
  reopen_log();
  workers_.send_all({MessageKind::reopen_logs, 0, {}});
  log_info("reopening the log files: a process that cannot says so");
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
