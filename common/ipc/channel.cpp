#include "common/ipc/channel.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace pronghorn {
namespace {

struct WireHeader {
  std::uint32_t kind;
  std::uint32_t text_size;
  std::uint64_t number;
};

constexpr std::size_t kMaxWireSize = sizeof(WireHeader) + kMaxMessageText;

}  // namespace

Channel::Channel(uv_loop_t* loop, int fd, Callbacks callbacks) : fd_(fd), callbacks_(std::move(callbacks)) {
  auto poll = std::make_unique<uv_poll_t>();
  if (const int error = uv_poll_init(loop, poll.get(), fd); error != 0) {
    ::close(fd);
    throw std::runtime_error(std::string("cannot watch the channel: ") + uv_strerror(error));
  }
  poll_.reset(poll.release());
  poll_->data = this;
  uv_poll_start(poll_.get(), UV_READABLE | UV_DISCONNECT, [](uv_poll_t* handle, int status, int) {
    if (handle->data != nullptr) static_cast<Channel*>(handle->data)->readable(status);
  });
}

Channel::~Channel() {
  *alive_ = false;
  poll_.reset();  // before the descriptor that it watches
  ::close(fd_);
}

bool Channel::send(const ChannelMessage& message, int fd) noexcept {
  WireHeader header{static_cast<std::uint32_t>(message.kind),
                    static_cast<std::uint32_t>(std::min(message.text.size(), kMaxMessageText)), message.number};
  iovec parts[2] = {{&header, sizeof header}, {const_cast<char*>(message.text.data()), header.text_size}};
  msghdr packet{};
  packet.msg_iov = parts;
  packet.msg_iovlen = 2;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (fd >= 0) {
    packet.msg_control = control;
    packet.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&packet);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  ssize_t sent;
  do {
    sent = ::sendmsg(fd_, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

// If the other side has ended without reading all that we have sent, what it has sent comes after an error.
void Channel::readable(int status) {
  const std::shared_ptr<bool> alive = alive_;
  while (*alive && receive_one()) {
  }
  if (*alive && status < 0) closed();
}

// False if there is nothing left to read.
bool Channel::receive_one() {
  char bytes[kMaxWireSize];
  iovec part{bytes, sizeof bytes};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr packet{};
  packet.msg_iov = &part;
  packet.msg_iovlen = 1;
  packet.msg_control = control;
  packet.msg_controllen = sizeof control;
  const ssize_t received = ::recvmsg(fd_, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (received < 0 && errno == EAGAIN) return false;
  if (received < 0 && (errno == EINTR || errno == ECONNRESET)) return true;
  if (received <= 0) {
    closed();
    return false;
  }
  int fd = -1;
  if (const cmsghdr* rights = CMSG_FIRSTHDR(&packet);
      rights != nullptr && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS) {
    std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
  }
  WireHeader header{};
  const auto size = static_cast<std::size_t>(received);
  if (size < sizeof header) {
    if (fd >= 0) ::close(fd);
    return true;
  }
  std::memcpy(&header, bytes, sizeof header);
  const std::size_t text_size = std::min<std::size_t>(header.text_size, size - sizeof header);
  const ChannelMessage message{
      static_cast<MessageKind>(header.kind), header.number, {bytes + sizeof header, text_size}};
  callbacks_.on_message(message, fd);
  return true;
}

void Channel::closed() {
  uv_poll_stop(poll_.get());
  if (callbacks_.on_closed) {
    const auto on_closed = std::move(callbacks_.on_closed);  // the callee may destroy us
    on_closed();
  }
}

std::pair<int, int> make_channel_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot create a worker's channel");
  }
  return {fds[0], fds[1]};
}

}  // namespace pronghorn
