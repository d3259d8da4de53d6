#include "worker/testing/cookie_jar.h"

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
  std::erase_if(cookies_, [&](const Cookie& old) { return old.name == cookie.name && old.path == cookie.path; });
  if (!removed) cookies_.push_back(std::move(cookie));
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
