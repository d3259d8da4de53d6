#include "worker/admin/networks.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace pronghorn::worker {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
constexpr unsigned kMappedBits = 96;

std::optional<Address> parse_as_written(const std::string& text) {
  Address address;
  if (::inet_pton(AF_INET, text.c_str(), address.bytes.data()) == 1) {
    address.bits = 32;
  } else if (::inet_pton(AF_INET6, text.c_str(), address.bytes.data()) == 1) {
    address.bits = 128;
  } else {
    return std::nullopt;
  }
  return address;
}

bool is_mapped(const Address& address) noexcept {
  return address.bits == 128 && std::equal(kMapped.begin(), kMapped.end(), address.bytes.begin());
}

Address unmapped(const Address& address) noexcept {
  Address result;
  result.bits = 32;
  std::copy(address.bytes.begin() + kMapped.size(), address.bytes.end(), result.bytes.begin());
  return result;
}

bool same_prefix(const Address& a, const Address& b, unsigned prefix) noexcept {
  const unsigned whole = prefix / 8;
  if (!std::equal(a.bytes.begin(), a.bytes.begin() + whole, b.bytes.begin())) return false;
  const unsigned rest = prefix % 8;
  return rest == 0 || ((a.bytes[whole] ^ b.bytes[whole]) >> (8 - rest)) == 0;
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  const auto address = parse_as_written(std::string(text.substr(0, text.find('%'))));
  return address && is_mapped(*address) ? unmapped(*address) : address;
}

Networks::Networks(const std::vector<std::string>& entries) {
  for (const std::string& entry : entries) {
    const auto fail = [&] {
      throw std::invalid_argument("admin_networks " + entry +
                                  ": not a network; write one as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7");
    };
    const std::size_t slash = entry.find('/');
    auto address = parse_as_written(entry.substr(0, slash));
    if (!address) fail();
    unsigned prefix = address->bits;
    if (slash != std::string::npos) {
      const char* const end = entry.data() + entry.size();
      const auto [stop, error] = std::from_chars(entry.data() + slash + 1, end, prefix);
      if (error != std::errc{} || stop != end || prefix > address->bits) fail();
    }
    if (is_mapped(*address) && prefix >= kMappedBits) {
      address = unmapped(*address);
      prefix -= kMappedBits;
    }
    networks_.push_back({*address, prefix});
  }
}

bool Networks::contains(const Address& address) const noexcept {
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) {
    return network.address.bits == address.bits && same_prefix(network.address, address, network.prefix);
  });
}

}  // namespace pronghorn::worker
