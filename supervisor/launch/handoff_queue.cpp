#include "supervisor/launch/handoff_queue.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
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

std::size_t HandoffQueue::close_waiting() const noexcept {
  constexpr std::size_t kMaxDescriptors = 2;  // of a message: a connection, and perhaps a file
  std::size_t connections = 0;
  for (;;) {
    char byte = 0;
    iovec start{&byte, sizeof byte};  // the kernel discards the rest of the message
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxDescriptors)> control{};
    msghdr message{};
    message.msg_iov = &start;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(take.get(), &message, MSG_CMSG_CLOEXEC) <= 0) return connections;
    const cmsghdr* const head = CMSG_FIRSTHDR(&message);
    if (head == nullptr || head->cmsg_type != SCM_RIGHTS) continue;
    ++connections;
    for (std::size_t at = 0; at + CMSG_LEN(sizeof(int)) <= head->cmsg_len; at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(head) + at, sizeof fd);
      ::close(fd);
    }
  }
}

}  // namespace pronghorn::supervisor
