#include "supervisor/workers/blame.h"

#include <signal.h>

namespace pronghorn::supervisor {
namespace {

bool is_own_fault(int signal) noexcept {
  return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL || signal == SIGABRT ||
         signal == SIGTRAP || signal == SIGSYS;
}

// Not sent by another process, and not in a thread that does offloaded work. A worker that could not tell is believed.
bool arose_in_loop(const CrashRecord& crash, std::uint32_t pid) noexcept {
  if (crash.signal.load() == 0) return true;
  return (crash.sender == 0 || crash.sender == pid) && crash.thread == pid;
}

}  // namespace

std::string killing_request(const Slots::Exit& exit, const ChildExit& how, const WorkerRow& row) {
  const auto pid = static_cast<std::uint32_t>(exit.worker.pid);
  if (row.pid.load() != pid || row.running.active.load() == 0) return {};
  const bool by_watchdog = exit.worker.state == WorkerState::dying;
  const bool by_exit = how.signal == 0 && exit.counts;  // exit() in a handler
  const bool guilty = by_exit || (is_own_fault(how.signal) && (by_watchdog || arose_in_loop(row.crash, pid)));
  return guilty ? line_of(row.running) : std::string();
}

}  // namespace pronghorn::supervisor
