#include "support/system/single_step.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>

#include "support/catch.h"
#include "support/eventually.h"
#include "support/paths.h"
#include "support/processes/process.h"

namespace pronghorn::test {
namespace {

constexpr int kSystemCall = SIGTRAP | 0x80;
constexpr std::array<std::uint64_t, 6> kReadsAndWrites{SYS_read,   SYS_recvmsg, SYS_write,
                                                       SYS_writev, SYS_sendmsg, SYS_sendfile};

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

}  // namespace

SingleStep::SingleStep(pid_t pid) : pid_(pid) {
  if (::ptrace(PTRACE_SEIZE, pid, nullptr, PTRACE_O_TRACESYSGOOD) != 0) fail("PTRACE_SEIZE");
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
  if (!allowed) WARN("this machine does not allow ptrace: nothing is tested");
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

Environment SingleStep::environment() { return {{"LD_PRELOAD", build_path("/tests/plain_clock.so")}}; }

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
  if (stopped_ && WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != kSystemCall) signal_ = WSTOPSIG(status);
  return stopped_;
}

// False if it waits for something, or has ended.
bool SingleStep::go_on(int how) {
  if (ended_) return false;
  if (stopped_) {
    if (::ptrace(static_cast<__ptrace_request>(how), pid_, nullptr, signal_) != 0) fail("ptrace");
    signal_ = 0;
    stopped_ = false;
  }
  return wait_for_stop();
}

std::uint64_t SingleStep::run(std::uint64_t count) {
  for (std::uint64_t done = 0; done < count; ++done) {
    if (!go_on(PTRACE_SINGLESTEP)) return done;
  }
  return count;
}

void SingleStep::run_until_idle() {
  while (!ended_ && go_on(PTRACE_SYSCALL)) {
  }
}

void SingleStep::run_until_io(std::chrono::milliseconds deadline) {
  const auto end = Clock::now() + deadline;
  while (Clock::now() < end) {
    if (!go_on(PTRACE_SYSCALL)) continue;
    __ptrace_syscall_info call{};
    if (::ptrace(PTRACE_GET_SYSCALL_INFO, pid_, sizeof call, &call) <= 0) fail("PTRACE_GET_SYSCALL_INFO");
    const bool io = std::ranges::find(kReadsAndWrites, call.entry.nr) != kReadsAndWrites.end();
    if (call.op == PTRACE_SYSCALL_INFO_ENTRY && io) return;
  }
  throw std::runtime_error("the process neither reads nor writes");
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
