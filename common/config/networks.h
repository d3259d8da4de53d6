// IP addresses and networks as text, and membership: for options that name peers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pronghorn {

// An IPv4 or IPv6 address. An IPv4-mapped one (::ffff:192.0.2.7) is the IPv4 address it stands for.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};
  unsigned bits = 0;  // 32 or 128
};

// Ignores a zone ("%eth0"). Nothing if `text` is not an address, such as "unix" or "010.0.0.1".
[[nodiscard]] std::optional<IpAddress> parse_ip_address(std::string_view text) noexcept;
// The IPv4 address of an IPv4-mapped one; any other unchanged.
[[nodiscard]] IpAddress unmapped(const IpAddress& address) noexcept;
[[nodiscard]] bool is_loopback(const IpAddress& address) noexcept;  // 127.0.0.0/8, ::1
// Its canonical form: "192.0.2.7", "2001:db8::1".
[[nodiscard]] std::string to_string(const IpAddress& address);

struct Network {
  IpAddress address;
  unsigned prefix = 0;  // bits; later bits of the address are ignored
};

// "10.0.0.0/8", "2001:db8::/32", or one address. Nothing if `text` is not a network.
[[nodiscard]] std::optional<Network> parse_network(std::string_view text) noexcept;

// A set of peers: networks, and "unix" for all peers on Unix sockets. An IPv6 network contains no IPv4 addresses.
class Networks {
 public:
  // Throws std::invalid_argument, naming the entry, if one is neither a network nor "unix".
  explicit Networks(const std::vector<std::string>& entries);

  [[nodiscard]] bool empty() const noexcept { return networks_.empty() && !unix_; }
  [[nodiscard]] bool contains(const IpAddress& address) const noexcept;
  // The same for the address of a Client as text. Text that is neither an address nor "unix" is not contained.
  [[nodiscard]] bool contains(std::string_view peer) const noexcept;

 private:
  std::vector<Network> networks_;
  bool unix_ = false;
};

}  // namespace pronghorn
