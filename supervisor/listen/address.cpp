#include "supervisor/listen/address.h"

#include <fmt/format.h>

#include <charconv>

namespace pronghorn::supervisor {
namespace {

constexpr std::string_view kHttp = "http://";
constexpr std::string_view kHttps = "https://";

}  // namespace

std::string Address::url() const {
  if (is_unix) return text;
  if (host.empty()) return fmt::format("{}0.0.0.0:{}", is_https ? kHttps : kHttp, port);
  return is_https ? text : std::string(kHttp) + text;
}

std::expected<Address, std::string> parse_address(std::string_view text) {
  constexpr std::string_view kExpected =
      "expected HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH, or https:// and one of the first three";
  Address address;
  address.text = text;
  if (text.find('\0') != std::string_view::npos) return std::unexpected(std::string(kExpected));
  if (text.starts_with("unix:")) {
    address.is_unix = true;
    address.path = text.substr(5);
    if (address.path.empty()) return std::unexpected(std::string("the path after unix: is missing"));
    return address;
  }
  address.is_https = text.starts_with(kHttps);
  if (address.is_https) text.remove_prefix(kHttps.size());
  if (address.is_https && text.ends_with('/')) {
    text.remove_suffix(1);
    address.text.pop_back();
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::unexpected(std::string(kExpected));
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']') && host.size() > 2) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":[] /") != std::string_view::npos) {
    return std::unexpected(std::string(kExpected) + "; an IPv6 address needs brackets");
  }
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (port.empty() || error == std::errc::invalid_argument || end != port.data() + port.size()) {
    return std::unexpected(fmt::format("port \"{}\" is not a number; {}", port, kExpected));
  }
  if (error != std::errc() || number > 65535) return std::unexpected(fmt::format("port {} is above 65535", port));
  address.host = host;
  address.port = static_cast<std::uint16_t>(number);
  return address;
}

}  // namespace pronghorn::supervisor
