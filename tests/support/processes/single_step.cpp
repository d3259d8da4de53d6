#include "support/processes/single_step.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>

#include "support/eventually.h"
#include "support/processes/process.h"

namespace pronghorn::test {
namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

}  // namespace

SingleStep::SingleStep(pid_t pid) : pid_(pid) {
  if (::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) != 0) fail("PTRACE_SEIZE");
  if (::ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr) != 0) fail("PTRACE_INTERRUPT");
  if (::waitpid(pid, nullptr, __WALL) != pid) fail("waitpid");
}

bool SingleStep::is_allowed() {
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  const bool allowed = ::ptrace(PTRACE_SEIZE, child, nullptr, nullptr) == 0;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, __WALL);
  return allowed;
}

SingleStep::~SingleStep() {
  if (ended_) return;
  if (!stopped_) {
    ::ptrace(PTRACE_INTERRUPT, pid_, nullptr, nullptr);
    ::waitpid(pid_, nullptr, __WALL);
  }
  ::ptrace(PTRACE_DETACH, pid_, nullptr, signal_);
}

// It polls, because waitpid() has no timeout, and most stops come at once.
bool SingleStep::wait_for_stop() {
  int status = 0;
  auto patience = Clock::now() + std::chrono::milliseconds(5);
  pid_t got = 0;
  while ((got = ::waitpid(pid_, &status, __WALL | WNOHANG)) == 0) {
    if (Clock::now() < patience) continue;
    if (process_state(pid_) == 'S') return false;
    patience += std::chrono::milliseconds(5);
  }
  if (got != pid_) fail("waitpid");
  ended_ = !WIFSTOPPED(status);
  stopped_ = !ended_;
  if (stopped_ && WSTOPSIG(status) != SIGTRAP) signal_ = WSTOPSIG(status);
  return stopped_;
}

std::uint64_t SingleStep::run(std::uint64_t count) {
  for (std::uint64_t done = 0; done < count; ++done) {
    if (ended_) return done;
    if (stopped_) {
      if (::ptrace(PTRACE_SINGLESTEP, pid_, nullptr, signal_) != 0) fail("PTRACE_SINGLESTEP");
      signal_ = 0;
      stopped_ = false;
    }
    if (!wait_for_stop()) return done;
  }
  return count;
}

void SingleStep::kill() {
  if (!ended_) {
    ::kill(pid_, SIGKILL);
    int status = 0;
    do {
      if (::waitpid(pid_, &status, __WALL) < 0) fail("waitpid");
    } while (WIFSTOPPED(status));
  }
  ended_ = true;
}

}  // namespace pronghorn::test
