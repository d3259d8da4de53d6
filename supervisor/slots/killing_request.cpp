#include "supervisor/slots/killing_request.h"

#include <signal.h>

namespace pronghorn::supervisor {
namespace {

bool is_own_fault(int signal) noexcept {
  return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL || signal == SIGABRT ||
         signal == SIGTRAP || signal == SIGSYS;
}

// The signal was neither sent by another process nor raised in a thread of the offload pool. Without a crash record the
// loop is assumed.
bool arose_in_loop(const CrashRecord& crash, std::uint32_t pid) noexcept {
  if (crash.signal.load() == 0) return true;
  return (crash.sender == 0 || crash.sender == pid) && crash.thread == pid;
}

}  // namespace

std::string killing_request(const Slots::Exit& exit, const ChildExit& how, const WorkerRow& row) {
  const auto pid = static_cast<std::uint32_t>(exit.worker.pid);
  if (row.pid.load() != pid || row.running.active.load() == 0) return {};
  const bool by_watchdog = exit.worker.state == WorkerState::dying;
  const bool by_exit = how.signal == 0 && exit.counts;  // the handler called exit()
  const bool guilty = by_exit || (is_own_fault(how.signal) && (by_watchdog || arose_in_loop(row.crash, pid)));
  return guilty ? line_of(row.running) : std::string();
}

std::string job_of(const std::string& killing_request) {
  constexpr std::string_view kMethod = "JOB ";
  const bool is_job = killing_request.starts_with(kMethod) && killing_request.find('/') == std::string::npos;
  return is_job ? killing_request.substr(kMethod.size()) : std::string();
}

std::uint64_t killing_client(const WorkerRow& row) noexcept {
  return row.crash.signal.load() != 0 ? row.crash.client : 0;
}

}  // namespace pronghorn::supervisor
