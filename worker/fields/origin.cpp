#include "worker/fields/origin.h"

#include <charconv>
#include <cstdint>
#include <optional>

#include "worker/fields/characters.h"
#include "worker/fields/host.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

struct Origin {
  std::string_view scheme;
  std::string_view host;
  std::uint16_t port = 0;  // 0: none is named, and the scheme has no default
};

std::uint16_t default_port(std::string_view scheme) noexcept {
  if (equal_ignoring_case(scheme, "http")) return 80;
  if (equal_ignoring_case(scheme, "https")) return 443;
  return 0;
}

std::optional<Origin> make_origin(std::string_view scheme, std::string_view authority) noexcept {
  if (!is_token(scheme) || authority.empty() || !is_host(authority)) return std::nullopt;
  Origin origin{scheme, authority, default_port(scheme)};
  const std::size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos || authority.find(']', colon) != std::string_view::npos) return origin;
  origin.host = authority.substr(0, colon);
  const std::string_view digits = authority.substr(colon + 1);  // may be empty
  std::from_chars(digits.data(), digits.data() + digits.size(), origin.port);
  return origin;
}

std::optional<Origin> parse_origin(std::string_view text) noexcept {
  const std::size_t end = text.find("://");
  if (end == std::string_view::npos) return std::nullopt;
  return make_origin(text.substr(0, end), text.substr(end + 3));
}

bool same(const std::optional<Origin>& a, const std::optional<Origin>& b) noexcept {
  return a && b && a->port == b->port && equal_ignoring_case(a->scheme, b->scheme) &&
         equal_ignoring_case(a->host, b->host);
}

}  // namespace

bool is_origin(std::string_view text) noexcept { return text == "null" || parse_origin(text).has_value(); }

bool same_origin(std::string_view a, std::string_view b) noexcept { return same(parse_origin(a), parse_origin(b)); }

bool comes_from(std::string_view origin, std::string_view host, bool https) noexcept {
  return same(parse_origin(origin), make_origin(https ? "https" : "http", host));
}

}  // namespace pronghorn::worker
