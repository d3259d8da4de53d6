// Addresses that servers listen on, and the socket addresses to connect to.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace pronghorn::test {

struct Address {
  std::string host = "127.0.0.1";  // an IPv4 or IPv6 address in digits
  std::uint16_t port = 0;
  std::string unix_path;  // unless empty, host and port are ignored

  // Parses "http://127.0.0.1:8080", "http://[::1]:8080" or "unix:/path" (also with a prefix "http://" or "http+").
  static Address parse(std::string_view text);
  [[nodiscard]] std::string text() const;
};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};
// Throws std::invalid_argument if the path of a Unix socket is too long.
[[nodiscard]] SocketAddress socket_address(const Address& address);

}  // namespace pronghorn::test
