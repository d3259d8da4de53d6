#include "worker/net/socket/socket_identity.h"

#include <netinet/in.h>

#include <cstring>

namespace pronghorn::worker {
namespace {

constexpr std::uint64_t kOfAddress = std::uint64_t{1} << 63;  // no number of the kernel is so high

}  // namespace

std::uint64_t identity_of(const sockaddr_storage& peer) noexcept {
  if (peer.ss_family == AF_INET) {
    const auto& ip = reinterpret_cast<const sockaddr_in&>(peer);
    return kOfAddress | std::uint64_t{ip.sin_addr.s_addr} << 16 | ip.sin_port;
  }
  if (peer.ss_family != AF_INET6) return 0;
  const auto& ip = reinterpret_cast<const sockaddr_in6&>(peer);
  std::uint64_t halves[2];
  std::memcpy(halves, &ip.sin6_addr, sizeof halves);
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;  // any odd number: the product depends on all bits
  const std::uint64_t mixed = ((halves[0] * kOdd ^ halves[1]) * kOdd ^ (halves[1] >> 32)) * kOdd;
  return kOfAddress | (mixed ^ ip.sin6_port);
}

std::uint64_t identity_of(int fd) noexcept {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  if (fd < 0 || ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return 0;
  const std::uint64_t identity = identity_of(peer);
  return identity != 0 ? identity : number_of(fd);
}

std::uint64_t number_of(int fd) noexcept {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  return ::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie & ~kOfAddress : 0;
}

bool has_identity(int fd, std::uint64_t identity) noexcept {
  return identity != 0 && ((identity & kOfAddress) != 0 ? identity_of(fd) : number_of(fd)) == identity;
}

}  // namespace pronghorn::worker
