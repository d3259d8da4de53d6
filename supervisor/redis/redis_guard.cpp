#include "supervisor/redis/redis_guard.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "supervisor/system/programs.h"

namespace pronghorn::supervisor {

namespace {

// The kernel tells this process when the script has ended, which may have started Redis without exec: when the supervisor
// is killed, only the script gets a signal. In the same group, so that whoever waits for the group waits for it too.
void end_group_after(pid_t script) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  ::close_range(3, ~0U, 0);
  sigset_t ended;
  sigemptyset(&ended);
  sigaddset(&ended, SIGTERM);
  int signal = 0;
  if (::getppid() == script) sigwait(&ended, &signal);
  ::kill(-script, SIGTERM);
}

void watch_over_script() {
  sigset_t term;
  sigset_t before;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &term, &before);  // it may come before the child waits for it
  const pid_t script = ::getpid();
  if (::fork() == 0) {
    end_group_after(script);
    std::_Exit(0);
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

void exec_guarded(int parent_pid, const std::vector<std::string>& args) {
  ::umask(077);  // its files hold what users have in their sessions
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent_pid || args.empty()) std::exit(1);  // it died before prctl()
  if (is_script(args[0])) watch_over_script();
  std::vector<char*> argv;
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  std::fprintf(stderr, "cannot run %s: %s\n", argv[0], std::strerror(errno));
  std::exit(127);
}

}  // namespace pronghorn::supervisor
