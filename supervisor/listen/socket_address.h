// Addresses in the kernel's form.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <expected>
#include <string>

#include "supervisor/listen/address.h"

namespace pronghorn::supervisor {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  bool dual_stack = false;  // an IPv6 socket that takes IPv4 too

  [[nodiscard]] const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};

// The address that `address` names; an empty host is every address. For a name with several addresses it is the first
// IPv4 address, which is what users mean by "localhost". The error says why the name has none.
[[nodiscard]] std::expected<SocketAddress, std::string> resolve(const Address& address, bool ipv6_only);
[[nodiscard]] SocketAddress unix_address(const std::string& path) noexcept;
// The address that the socket is bound to.
[[nodiscard]] SocketAddress local_address(int fd) noexcept;

[[nodiscard]] std::uint16_t port_of(const SocketAddress& address) noexcept;  // of an IP address
[[nodiscard]] bool same_address(const SocketAddress& a, const SocketAddress& b) noexcept;

}  // namespace pronghorn::supervisor
