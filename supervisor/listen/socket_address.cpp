#include "supervisor/listen/socket_address.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>

#include "common/fd.h"

namespace pronghorn::supervisor {
namespace {

bool has_ipv6() noexcept { return static_cast<bool>(Fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0))); }

SocketAddress every_address(std::uint16_t port) noexcept {
  SocketAddress result;
  if (has_ipv6()) {
    auto* address = reinterpret_cast<sockaddr_in6*>(&result.storage);
    address->sin6_family = AF_INET6;
    address->sin6_addr = in6addr_any;
    address->sin6_port = htons(port);
    result.size = sizeof *address;
    result.dual_stack = true;
  } else {
    auto* address = reinterpret_cast<sockaddr_in*>(&result.storage);
    address->sin_family = AF_INET;
    address->sin_port = htons(port);
    result.size = sizeof *address;
  }
  return result;
}

bool is_every_ipv6(const SocketAddress& address) noexcept {
  return address.storage.ss_family == AF_INET6 &&
         IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_addr);
}

}  // namespace

std::expected<SocketAddress, std::string> resolve(const Address& address, bool ipv6_only) {
  if (address.host.empty()) return every_address(address.port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (error != 0) return std::unexpected(fmt::format("cannot resolve the host: {}", ::gai_strerror(error)));
  const addrinfo* best = found;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    if (each->ai_family == AF_INET) {
      best = each;
      break;
    }
  }
  SocketAddress result;
  std::memcpy(&result.storage, best->ai_addr, best->ai_addrlen);
  result.size = best->ai_addrlen;
  ::freeaddrinfo(found);
  result.dual_stack = !ipv6_only && is_every_ipv6(result);
  return result;
}

std::uint16_t port_of(const SocketAddress& address) noexcept {
  return ntohs(address.storage.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
}

SocketAddress local_address(int fd) noexcept {
  SocketAddress address;
  address.size = sizeof address.storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size);
  int only_ipv6 = 1;
  socklen_t size = sizeof only_ipv6;
  ::getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6, &size);
  address.dual_stack = only_ipv6 == 0;
  return address;
}

bool same_address(const SocketAddress& a, const SocketAddress& b) noexcept {
  if (a.storage.ss_family != b.storage.ss_family) return false;
  if (a.storage.ss_family == AF_UNIX) {
    const auto path = [](const SocketAddress& address) {
      return reinterpret_cast<const sockaddr_un*>(address.get())->sun_path;
    };
    return std::strcmp(path(a), path(b)) == 0;
  }
  if (a.storage.ss_family == AF_INET6) {
    const auto* left = reinterpret_cast<const sockaddr_in6*>(a.get());
    const auto* right = reinterpret_cast<const sockaddr_in6*>(b.get());
    return left->sin6_port == right->sin6_port &&
           std::memcmp(&left->sin6_addr, &right->sin6_addr, sizeof(in6_addr)) == 0;
  }
  const auto* left = reinterpret_cast<const sockaddr_in*>(a.get());
  const auto* right = reinterpret_cast<const sockaddr_in*>(b.get());
  return left->sin_port == right->sin_port && left->sin_addr.s_addr == right->sin_addr.s_addr;
}

SocketAddress unix_address(const std::string& path) noexcept {
  SocketAddress address;
  auto* name = reinterpret_cast<sockaddr_un*>(&address.storage);
  name->sun_family = AF_UNIX;
  path.copy(name->sun_path, sizeof name->sun_path - 1);
  address.size = sizeof *name;
  return address;
}

}  // namespace pronghorn::supervisor
