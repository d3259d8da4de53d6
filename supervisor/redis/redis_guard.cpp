#include "supervisor/redis/redis_guard.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace pronghorn::supervisor {

void exec_guarded(int parent_pid, const std::vector<std::string>& args) {
  ::umask(077);  // its files hold what users have in their sessions
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent_pid || args.empty()) std::exit(1);  // it died before prctl()
  std::vector<char*> argv;
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  std::fprintf(stderr, "cannot run %s: %s\n", argv[0], std::strerror(errno));
  std::exit(127);
}

}  // namespace pronghorn::supervisor
