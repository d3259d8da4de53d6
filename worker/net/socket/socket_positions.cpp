#include "worker/net/socket/socket_positions.h"

// Not <netinet/tcp.h>: glibc's tcp_info ends before the counters.
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstddef>

namespace pronghorn::worker {
namespace {

// Values of tcpi_state, from the kernel's include/net/tcp_states.h.
constexpr std::uint8_t kEstablished = 1;
constexpr std::uint8_t kClosed = 7;
constexpr std::uint8_t kCloseWait = 8;

struct Counters {
  std::uint64_t received;
  std::uint64_t acknowledged;
  std::uint8_t state;

  bool operator==(const Counters&) const = default;
};

// Returns how many bytes of it the kernel knows; 0 if the socket has none.
std::size_t read_info(int fd, tcp_info& info) noexcept {
  socklen_t size = sizeof info;
  return ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? size : 0;
}

std::optional<Counters> counters_of(int fd) noexcept {
  tcp_info info{};
  const std::size_t size = read_info(fd, info);
  constexpr std::size_t kNeeded = offsetof(tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received;
  if (size < kNeeded) return std::nullopt;  // a kernel before 4.1
  return Counters{info.tcpi_bytes_received, info.tcpi_bytes_acked, info.tcpi_state};
}

}  // namespace

std::optional<SocketPositions> positions_of(int fd) noexcept {
  // The queues and the counters are read one after the other: the answer is good once the counters have stood still.
  constexpr int kAttempts = 100;
  auto before = counters_of(fd);
  for (int attempt = 0; before && attempt < kAttempts; ++attempt) {
    int unread = 0;
    int unacknowledged = 0;
    if (::ioctl(fd, SIOCINQ, &unread) != 0 || ::ioctl(fd, SIOCOUTQ, &unacknowledged) != 0) return std::nullopt;
    const auto after = counters_of(fd);
    if (after && *after == *before) {
      const std::uint8_t state = after->state;
      SocketPositions positions;
      positions.peer_closed = state == kCloseWait;
      positions.broken = state != kEstablished && state != kCloseWait;
      positions.read = after->received - static_cast<std::uint64_t>(unread) - (positions.peer_closed ? 1 : 0);
      positions.written = after->acknowledged + static_cast<std::uint64_t>(unacknowledged);
      return positions;
    }
    before = after;
  }
  return std::nullopt;
}

SocketWait wait_of(int fd) noexcept {
  tcp_info info{};
  if (read_info(fd, info) != 0) {
    const PeerState peer = info.tcpi_state == kClosed      ? PeerState::gone
                           : info.tcpi_state == kCloseWait ? PeerState::finished
                                                           : PeerState::there;
    return {.age = std::chrono::milliseconds(info.tcpi_last_data_recv), .peer = peer};
  }
  pollfd events{.fd = fd, .events = POLLRDHUP, .revents = 0};
  if (::poll(&events, 1, 0) <= 0) return {};
  return {.age = {}, .peer = (events.revents & (POLLHUP | POLLERR)) != 0 ? PeerState::gone : PeerState::finished};
}

}  // namespace pronghorn::worker
