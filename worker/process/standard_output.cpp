#include "worker/process/standard_output.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cstdio>

namespace pronghorn::worker {
namespace {

constexpr int kPipeBytes = 1024 * 1024;  // the default of /proc/sys/fs/pipe-max-size

// O_NONBLOCK belongs to the open file, which the supervisor and the shell share: it is replaced by one of our own. That
// is not allowed for a pipe of another user; then all who share it have to do without blocking, as behind Node.js.
void stop_blocking_pipe(int fd) noexcept {
  ::fcntl(fd, F_SETPIPE_SZ, kPipeBytes);
  std::array<char, 32> path{};
  std::snprintf(path.data(), path.size(), "/proc/self/fd/%d", fd);
  const int own = ::open(path.data(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (own < 0) {
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    return;
  }
  ::dup2(own, fd);
  ::close(own);
}

// A socket (the journal's) cannot be opened again. A timeout is a property of the socket, and does not disturb those
// who share it as O_NONBLOCK would: it is much longer than a reader that is alive needs.
void limit_waiting(int fd) noexcept {
  const timeval limit{.tv_sec = 0, .tv_usec = 10'000};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

}  // namespace

void keep_output_from_blocking() noexcept {
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat facts{};
    if (::fstat(fd, &facts) != 0) continue;
    if (S_ISFIFO(facts.st_mode)) stop_blocking_pipe(fd);
    if (S_ISSOCK(facts.st_mode)) limit_waiting(fd);
  }
}

}  // namespace pronghorn::worker
