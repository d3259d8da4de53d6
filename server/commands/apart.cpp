#include "server/commands/apart.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

namespace pronghorn::server {

std::string ApartExit::how() const {
  if (signal == 0) return fmt::format("exit status {}", status);
  return fmt::format("signal {} ({})", signal, ::strsignal(signal));
}

ApartExit run_apart(const std::function<int()>& work) {
  using Finished = std::atomic<bool>;
  void* const shared = ::mmap(nullptr, sizeof(Finished), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) throw std::runtime_error(fmt::format("no memory is left: {}", std::strerror(errno)));
  auto* const finished = new (shared) Finished(false);
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error(fmt::format("cannot create a process: {}", std::strerror(errno)));
  if (child == 0) {
    const int status = work();
    std::fflush(stdout);
    finished->store(true);
    std::_Exit(status);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const ApartExit exit{.status = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                       .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                       .finished = finished->load()};
  ::munmap(shared, sizeof(Finished));
  return exit;
}

}  // namespace pronghorn::server
