// IP addresses and networks as text, and which address is in which network: options that name peers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pronghorn {

// An IPv4 or IPv6 address. An IPv4-mapped one (::ffff:192.0.2.7) is the IPv4 address that it means.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};
  unsigned bits = 0;  // 32 or 128
};

// A zone ("%eth0") is left out. Nothing for what is no address, as "unix" or "010.0.0.1".
[[nodiscard]] std::optional<IpAddress> parse_ip_address(std::string_view text) noexcept;
// The address that an IPv4-mapped one means; any other as it is.
[[nodiscard]] IpAddress unmapped(const IpAddress& address) noexcept;
[[nodiscard]] bool is_loopback(const IpAddress& address) noexcept;  // 127.0.0.0/8, ::1
// The one way to write it: "192.0.2.7", "2001:db8::1".
[[nodiscard]] std::string to_string(const IpAddress& address);

struct Network {
  IpAddress address;
  unsigned prefix = 0;  // bits; those of the address behind it are ignored
};

// "10.0.0.0/8", "2001:db8::/32", or one address. Nothing for what is no network.
[[nodiscard]] std::optional<Network> parse_network(std::string_view text) noexcept;

// A set of peers: networks, and "unix" for all that come over Unix sockets. An IPv6 network holds no IPv4 addresses.
class Networks {
 public:
  // Throws std::invalid_argument that names the entry which is neither a network nor "unix".
  explicit Networks(const std::vector<std::string>& entries);

  [[nodiscard]] bool empty() const noexcept { return networks_.empty() && !unix_; }
  [[nodiscard]] bool contains(const IpAddress& address) const noexcept;
  // The same for the text of a Client. What is neither an address nor "unix" is never contained.
  [[nodiscard]] bool contains(std::string_view peer) const noexcept;

 private:
  std::vector<Network> networks_;
  bool unix_ = false;
};

}  // namespace pronghorn
