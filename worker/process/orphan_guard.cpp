#include "worker/process/orphan_guard.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace pronghorn::worker {
namespace {

// The parent's death arrives as this signal; its handler starts the alarm, whose default action ends the process.
int parent_death_signal() noexcept { return SIGRTMIN + 1; }

volatile sig_atomic_t grace_seconds = 1;

void start_alarm(int) { ::alarm(static_cast<unsigned>(grace_seconds)); }

}  // namespace

bool die_with_supervisor(int supervisor_pid, std::chrono::seconds grace) {
  grace_seconds = static_cast<sig_atomic_t>(grace.count());
  struct sigaction action{};
  action.sa_handler = start_alarm;
  action.sa_flags = SA_RESTART;
  ::sigaction(parent_death_signal(), &action, nullptr);
  ::prctl(PR_SET_PDEATHSIG, parent_death_signal());
  return ::getppid() == supervisor_pid;  // it may have died before prctl()
}

}  // namespace pronghorn::worker
