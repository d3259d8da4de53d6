#include "supervisor/launch/handoff_queue.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace pronghorn::supervisor {

HandoffQueue HandoffQueue::create() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot create the handoff queue");
  }
  return {.give = Fd(ends[0]), .take = Fd(ends[1])};
}

}  // namespace pronghorn::supervisor
