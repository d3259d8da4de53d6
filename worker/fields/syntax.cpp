#include "worker/fields/syntax.h"

#include "common/config/networks.h"

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

// Every '%' begins a percent-encoded byte.
bool is_encoded(std::string_view text) noexcept {
  for (std::size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 3)) {
    if (at + 2 >= text.size() || hex_digit(text[at + 1]) < 0 || hex_digit(text[at + 2]) < 0) return false;
  }
  return true;
}

}  // namespace

bool is_host(std::string_view text) noexcept {
  using syntax_detail::kClasses;
  if (text.empty()) return true;
  if (text.front() == '[') {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    const std::string_view address = text.substr(1, close - 1);
    const bool is_ipv6 = address.find(':') != std::string_view::npos && address.find('%') == std::string_view::npos;
    if (!is_ipv6 || !parse_ip_address(address)) return false;
    const std::string_view rest = text.substr(close + 1);
    return rest.empty() || (rest.front() == ':' && is_port(rest.substr(1)));
  }
  std::size_t end = 0;
  std::uint8_t seen = 0;
  for (; end < text.size(); ++end) {
    const std::uint8_t classes = kClasses[static_cast<unsigned char>(text[end])];
    if ((classes & syntax_detail::kHost) == 0) break;
    seen |= classes;
  }
  if ((seen & syntax_detail::kPercent) != 0 && !is_encoded(text.substr(0, end))) return false;
  if (end == text.size()) return true;
  return end > 0 && text[end] == ':' && is_port(text.substr(end + 1));
}

std::pair<std::size_t, std::size_t> find_field(std::string_view fields, std::string_view name) noexcept {
  std::size_t start = 0;
  while (start < fields.size()) {
    const std::size_t crlf = fields.find("\r\n", start);
    if (crlf == std::string_view::npos) break;
    const std::string_view line = fields.substr(start, crlf + 2 - start);
    if (line.size() > name.size() && line[name.size()] == ':' &&
        equal_ignoring_case(line.substr(0, name.size()), name)) {
      return {start, line.size()};
    }
    start += line.size();
  }
  return {std::string_view::npos, 0};
}

bool percent_decode(std::string_view text, std::string& decoded, bool plus_is_space) {
  decoded.clear();
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      decoded += ' ';
    } else if (text[i] == '%') {
      if (i + 2 >= text.size()) return false;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return false;
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return true;
}

}  // namespace pronghorn::worker
