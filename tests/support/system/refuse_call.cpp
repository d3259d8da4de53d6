// refuse_call CALL ERRNO PROGRAM ARGUMENTS…: runs a program in whose processes a system call fails, as a seccomp filter
// of a container or an older kernel would have it.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>

namespace {

struct Call {
  unsigned number;
  unsigned flags;  // in its first argument, of which one must be set; 0: it always fails
};
const std::map<std::string, Call> kCalls{
    {"pidfd_open", {SYS_pidfd_open, 0}},
    {"flock", {SYS_flock, 0}},
    {"clone", {SYS_clone, CLONE_PARENT}},  // a guardian's; other processes are made without this flag
};

bool refuse(const Call& call, unsigned error) {
  const unsigned refused = SECCOMP_RET_ERRNO | error;
  const auto without_flags = static_cast<std::uint8_t>(call.flags == 0 ? 0 : 1);  // instructions to skip
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.number, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),  // its lower half: little-endian
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, call.flags, 0, without_flags),
      BPF_STMT(BPF_RET | BPF_K, refused),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{sizeof filter / sizeof *filter, filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto call = argc > 3 ? kCalls.find(argv[1]) : kCalls.end();
  if (call == kCalls.end() || !refuse(call->second, static_cast<unsigned>(std::atoi(argv[2])))) {
    std::cerr << "usage: refuse_call pidfd_open|flock|clone ERRNO PROGRAM ARGUMENTS…\n";
    return 2;
  }
  ::execvp(argv[3], argv + 3);
  return 127;
}
