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
  // Room for the largest message, whatever the system's default is. As far as net.core.wmem_max allows.
  constexpr int kRoom = 512 * 1024;
  static_cast<void>(::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &kRoom, sizeof kRoom));
  return {.give = Fd(ends[0]), .take = Fd(ends[1])};
}

}  // namespace pronghorn::supervisor
