// Cookies of a request (RFC 6265 section 5.4), and what the name of a cookie demands.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "pronghorn/request.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {

// Calls visit(value) for each cookie of that name, in the order of the fields, until it returns false. Quotation marks
// around the value are removed.
template <class Visit>
void for_each_cookie(std::span<const Request::Header> fields, std::string_view name, Visit visit) {
  for (const Request::Header& field : fields) {
    if (!equal_ignoring_case(field.name, "cookie")) continue;
    std::string_view pairs = field.value;
    while (!pairs.empty()) {
      const std::size_t end = pairs.find(';');
      const std::string_view pair = trim_blanks(pairs.substr(0, end));
      const std::size_t equals = pair.find('=');
      if (equals != std::string_view::npos && trim_blanks(pair.substr(0, equals)) == name) {
        std::string_view value = trim_blanks(pair.substr(equals + 1));
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
        if (!visit(value)) return;
      }
      pairs = end == std::string_view::npos ? std::string_view{} : pairs.substr(end + 1);
    }
  }
}

// What browsers heed as the attributes Path and Domain of a cookie (RFC 6265bis section 5.6); with any other text they use
// a path of their own, or ignore the cookie. The domain may begin with a dot, as in RFC 2109.
[[nodiscard]] bool is_cookie_path(std::string_view text) noexcept;
[[nodiscard]] bool is_cookie_domain(std::string_view text) noexcept;

// Browsers ignore a cookie whose name and value have more bytes than this together.
inline constexpr std::size_t kMaxCookie = 4096;

// Whether browsers only accept a cookie of that name if it is Secure; if it has the path / and no domain; if it is
// HttpOnly. They compare these prefixes without case (RFC 6265bis section 4.1.3).
namespace cookie_prefix {

[[nodiscard]] inline bool is(std::string_view name, std::string_view prefix) noexcept {
  return equal_ignoring_case(name.substr(0, prefix.size()), prefix);
}
[[nodiscard]] inline bool of_one_host(std::string_view name) noexcept { return is(name, "__Host-"); }
[[nodiscard]] inline bool http_only(std::string_view name) noexcept {
  return is(name, "__Http-") || is(name, "__Host-Http-");
}
[[nodiscard]] inline bool secure(std::string_view name) noexcept {
  return of_one_host(name) || http_only(name) || is(name, "__Secure-");
}

}  // namespace cookie_prefix

}  // namespace pronghorn::worker
