#include "worker/http/head/cookies.h"

#include <algorithm>
#include <cstddef>

namespace pronghorn::worker {

constexpr std::size_t kMaxAttribute = 1024;  // browsers ignore longer ones

bool is_cookie_path(std::string_view text) noexcept {
  return text.starts_with('/') && text.size() <= kMaxAttribute &&
         std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~' && c != ';'; });
}

bool is_cookie_domain(std::string_view text) noexcept {
  if (text.size() > kMaxAttribute) return false;
  if (text.starts_with('.')) text.remove_prefix(1);
  if (text.empty() || text.find("..") != std::string_view::npos || text.starts_with('.')) return false;
  return std::ranges::all_of(text, [](char c) {
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

}  // namespace pronghorn::worker
