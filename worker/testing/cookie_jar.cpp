#include "worker/testing/cookie_jar.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "worker/fields/text.h"

namespace pronghorn::worker {

namespace {

std::string_view default_path(std::string_view request_path) {
  const std::size_t slash = request_path.rfind('/');
  return slash == std::string_view::npos || slash == 0 ? "/" : request_path.substr(0, slash);
}

bool path_matches(std::string_view cookie_path, std::string_view request_path) {
  if (!request_path.starts_with(cookie_path)) return false;
  return request_path.size() == cookie_path.size() || cookie_path.ends_with('/') ||
         request_path[cookie_path.size()] == '/';
}

}  // namespace

void CookieJar::store(std::string_view set_cookie, std::string_view request_path) {
  std::string_view attributes = set_cookie;
  std::string_view value = take_until(attributes, ';');
  const std::string_view name = take_until(value, '=');
  Cookie cookie{std::string(name), std::string(value), std::string(default_path(request_path))};
  bool removed = false;
  while (!attributes.empty()) {
    std::string_view text = take_until(attributes, ';');
    const std::string_view attribute = take_until(text, '=');
    if (equal_ignoring_case(attribute, "path") && text.starts_with('/')) cookie.path = text;
    if (equal_ignoring_case(attribute, "max-age")) removed = text.starts_with('-') || text == "0";
  }
  const auto old = std::ranges::find_if(
      cookies_, [&](const Cookie& kept) { return kept.name == cookie.name && kept.path == cookie.path; });
  if (old != cookies_.end() && removed) {
    cookies_.erase(old);
  } else if (old != cookies_.end()) {
    old->value = std::move(cookie.value);
  } else if (!removed) {
    const auto path_size = [](const Cookie& kept) { return kept.path.size(); };
    const auto place = std::ranges::upper_bound(cookies_, cookie.path.size(), std::ranges::greater(), path_size);
    cookies_.insert(place, std::move(cookie));
  }
}

std::string CookieJar::field_for(std::string_view request_path) const {
  std::string field;
  for (const Cookie& cookie : cookies_) {
    if (!path_matches(cookie.path, request_path)) continue;
    if (!field.empty()) field += "; ";
    field.append(cookie.name).append("=").append(cookie.value);
  }
  return field;
}

}  // namespace pronghorn::worker
