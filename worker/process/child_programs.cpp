#include "worker/process/child_programs.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <exception>
#include <filesystem>
#include <limits>
#include <string>
#include <system_error>

#include "common/signals.h"

namespace pronghorn::worker {
namespace {

constexpr int kFirst = STDERR_FILENO + 1;

// A handler would make a write to the terminal fail and be retried forever, where the terminal stops background output
// (stty tostop). From then on the signal is ignored.
void ignore_from_now_on(int signal) {
  struct sigaction action{};
  action.sa_handler = SIG_IGN;
  ::sigaction(signal, &action, nullptr);
}

// For kernels before 5.11.
void mark_each() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const std::string name = entry.path().filename();
    int fd = -1;
    std::from_chars(name.data(), name.data() + name.size(), fd);
    if (fd >= kFirst) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
}

}  // namespace

void keep_descriptors_from_children() noexcept {
  if (::close_range(kFirst, std::numeric_limits<unsigned>::max(), CLOSE_RANGE_CLOEXEC) == 0) return;
  try {
    mark_each();
  } catch (const std::exception&) {  // out of memory: the worker will not come far
  }
}

void ignore_group_signals() noexcept {
  disarm({SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGXFSZ});
  struct sigaction first{};
  first.sa_handler = ignore_from_now_on;
  first.sa_flags = SA_RESTART;
  for (const int signal : {SIGTTIN, SIGTTOU}) ::sigaction(signal, &first, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace pronghorn::worker
