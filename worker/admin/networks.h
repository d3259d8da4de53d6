// The networks that may see the server's own endpoints.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pronghorn::worker {

// An IPv4 or IPv6 address. An IPv4-mapped one (::ffff:192.0.2.7) is the IPv4 address that it means.
struct Address {
  std::array<std::uint8_t, 16> bytes{};
  unsigned bits = 0;  // 32 or 128
};

// Text as in a Client; a zone ("%eth0") is left out. Nothing for what is no address, as "unix".
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);

class Networks {
 public:
  // "10.0.0.0/8", "2001:db8::/32", or one address. Bits of the address behind the prefix are ignored. An IPv6 network
  // does not hold IPv4 addresses. Throws std::invalid_argument that names the entry.
  explicit Networks(const std::vector<std::string>& entries);

  [[nodiscard]] bool contains(const Address& address) const noexcept;

 private:
  struct Network {
    Address address;
    unsigned prefix = 0;
  };
  std::vector<Network> networks_;
};

}  // namespace pronghorn::worker
