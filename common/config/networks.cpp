#include "common/config/networks.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <stdexcept>

namespace pronghorn {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
constexpr unsigned kMappedBits = 96;
constexpr std::string_view kUnix = "unix";

std::optional<IpAddress> parse_as_written(std::string_view text) noexcept {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::memcpy(terminated.data(), text.data(), text.size());
  IpAddress address;
  if (::inet_pton(AF_INET, terminated.data(), address.bytes.data()) == 1) {
    address.bits = 32;
  } else if (::inet_pton(AF_INET6, terminated.data(), address.bytes.data()) == 1) {
    address.bits = 128;
  } else {
    return std::nullopt;
  }
  return address;
}

bool is_mapped(const IpAddress& address) noexcept {
  return address.bits == 128 && std::equal(kMapped.begin(), kMapped.end(), address.bytes.begin());
}

bool same_prefix(const IpAddress& a, const IpAddress& b, unsigned prefix) noexcept {
  const unsigned whole = prefix / 8;
  if (!std::equal(a.bytes.begin(), a.bytes.begin() + whole, b.bytes.begin())) return false;
  const unsigned rest = prefix % 8;
  return rest == 0 || ((a.bytes[whole] ^ b.bytes[whole]) >> (8 - rest)) == 0;
}

}  // namespace

IpAddress unmapped(const IpAddress& address) noexcept {
  if (!is_mapped(address)) return address;
  IpAddress result;
  result.bits = 32;
  std::copy(address.bytes.begin() + kMapped.size(), address.bytes.end(), result.bytes.begin());
  return result;
}

std::optional<IpAddress> parse_ip_address(std::string_view text) noexcept {
  const auto address = parse_as_written(text.substr(0, text.find('%')));
  return address ? std::optional(unmapped(*address)) : std::nullopt;
}

bool is_loopback(const IpAddress& address) noexcept {
  if (address.bits == 32) return address.bytes[0] == 127;
  constexpr std::array<std::uint8_t, 16> kIpv6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return address.bytes == kIpv6;
}

std::string to_string(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(address.bits == 32 ? AF_INET : AF_INET6, address.bytes.data(), text.data(), text.size());
  return text.data();
}

std::optional<Network> parse_network(std::string_view text) noexcept {
  const std::size_t slash = text.find('/');
  const auto address = parse_as_written(text.substr(0, slash));
  if (!address) return std::nullopt;
  unsigned prefix = address->bits;
  if (slash != std::string_view::npos) {
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, prefix);
    if (error != std::errc{} || stop != end || prefix > address->bits) return std::nullopt;
  }
  if (is_mapped(*address) && prefix >= kMappedBits) return Network{unmapped(*address), prefix - kMappedBits};
  return Network{*address, prefix};
}

Networks::Networks(const std::vector<std::string>& entries) {
  for (const std::string& entry : entries) {
    if (entry == kUnix) {
      unix_ = true;
      continue;
    }
    const auto network = parse_network(entry);
    if (!network) {
      throw std::invalid_argument(entry + ": not a network; write one as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7");
    }
    networks_.push_back(*network);
  }
}

bool Networks::contains(const IpAddress& address) const noexcept {
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network& network) {
    return network.address.bits == address.bits && same_prefix(network.address, address, network.prefix);
  });
}

bool Networks::contains(std::string_view peer) const noexcept {
  if (peer == kUnix) return unix_;
  const auto address = parse_ip_address(peer);
  return address && contains(*address);
}

}  // namespace pronghorn
