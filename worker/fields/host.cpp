#include "worker/fields/host.h"

#include <cstddef>
#include <cstdint>

#include "common/config/networks.h"
#include "worker/fields/characters.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

// May be empty (RFC 3986 section 3.2.3).
bool is_port(std::string_view text) noexcept {
  if (text.size() > 5) return false;
  unsigned number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + static_cast<unsigned>(c - '0');
  }
  return number <= 65535;
}

bool has_valid_escapes(std::string_view text) noexcept {
  for (std::size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 3)) {
    if (at + 2 >= text.size() || hex_digit(text[at + 1]) < 0 || hex_digit(text[at + 2]) < 0) return false;
  }
  return true;
}

bool is_bracketed_host(std::string_view text) noexcept {
  const std::size_t close = text.find(']');
  if (close == std::string_view::npos) return false;
  const std::string_view address = text.substr(1, close - 1);
  const bool is_ipv6 = address.find(':') != std::string_view::npos && address.find('%') == std::string_view::npos;
  if (!is_ipv6 || !parse_ip_address(address)) return false;
  const std::string_view rest = text.substr(close + 1);
  return rest.empty() || (rest.front() == ':' && is_port(rest.substr(1)));
}

}  // namespace

bool is_host(std::string_view text) noexcept {
  if (text.empty()) return true;
  if (text.front() == '[') return is_bracketed_host(text);
  std::size_t end = 0;
  std::uint8_t seen = 0;
  for (; end < text.size(); ++end) {
    const std::uint8_t classes = character_class::kTable[static_cast<unsigned char>(text[end])];
    if ((classes & character_class::kHost) == 0) break;
    seen |= classes;
  }
  if ((seen & character_class::kPercent) != 0 && !has_valid_escapes(text.substr(0, end))) return false;
  if (end == text.size()) return true;
  return end > 0 && text[end] == ':' && is_port(text.substr(end + 1));
}

bool is_sent_origin(std::string_view text) noexcept {
  const std::size_t separator = text.find("://");
  if (separator == std::string_view::npos || !is_token(text.substr(0, separator))) return false;
  const std::string_view scheme = text.substr(0, separator);
  const std::string_view authority = text.substr(separator + 3);
  if (authority.empty() || !is_host(authority)) return false;
  for (const char c : text) {
    if (c >= 'A' && c <= 'Z') return false;
  }
  const std::size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos || authority.back() == ']') return true;
  const std::string_view port = authority.substr(colon + 1);
  if (port.empty() || port.front() == '0') return false;
  return !(scheme == "https" && port == "443") && !(scheme == "http" && port == "80");
}

bool is_local_host(std::string_view host) noexcept {
  const bool bracketed = host.starts_with('[');
  const std::string_view name = bracketed ? host.substr(1, host.find(']') - 1) : host.substr(0, host.find(':'));
  if (equal_ignoring_case(name, "localhost")) return !bracketed;
  const auto address = parse_ip_address(name);
  return address && is_loopback(*address);
}

}  // namespace pronghorn::worker
