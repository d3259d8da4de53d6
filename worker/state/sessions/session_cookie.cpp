#include "worker/state/sessions/session_cookie.h"

#include <algorithm>
#include <cstddef>

#include "worker/http/head/cookies.h"
#include "worker/state/sessions/session_id.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMostIds = 16;

CookieOptions::SameSite same_site_of(const std::string& option) {
  if (option == "strict") return CookieOptions::SameSite::strict;
  return option == "none" ? CookieOptions::SameSite::none : CookieOptions::SameSite::lax;
}

}  // namespace

SessionCookie::SessionCookie(const Config& config) : name_(config.session_cookie) {
  options_.same_site = same_site_of(config.session_same_site);
  options_.domain = config.session_domain;
  options_.secure = cookie_prefix::secure(name_) || options_.same_site == CookieOptions::SameSite::none;
}

std::vector<std::string> SessionCookie::ids_of(const Exchange& exchange) const {
  std::vector<std::string> ids;
  for_each_cookie(exchange.request.headers(), name_, [&ids](std::string_view value) {
    if (is_session_id(value) && std::ranges::find(ids, value) == ids.end()) ids.emplace_back(value);
    return ids.size() < kMostIds;
  });
  return ids;
}

void SessionCookie::add(Exchange& exchange, Response& response, std::string_view value,
                        std::chrono::seconds max_age) const {
  CookieOptions options = options_;
  options.max_age = max_age;
  options.secure = options.secure || exchange.request.scheme() == "https";
  response.cookie(name_, value, options);
}

}  // namespace pronghorn::worker
