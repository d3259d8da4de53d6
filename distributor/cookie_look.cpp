#include "distributor/cookie_look.h"

#include <algorithm>

namespace pronghorn::distributor {
namespace {

bool same_letters(std::string_view a, std::string_view lower) noexcept {
  return a.size() == lower.size() && std::ranges::equal(a, lower, [](char x, char y) {
           return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
         });
}

std::string cookie_in(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(';'), list.size());
    std::string_view pair = list.substr(0, end);
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=') {
      return std::string(pair.substr(name.size() + 1));
    }
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return {};
}

}  // namespace

CookieLook find_cookie(std::string_view head, std::string_view name) {
  CookieLook look;
  std::size_t line_start = head.find('\n');  // after the request line
  while (line_start != std::string_view::npos) {
    ++line_start;
    const std::size_t line_end = head.find('\n', line_start);
    if (line_end == std::string_view::npos) return look;
    std::string_view line = head.substr(line_start, line_end - line_start);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) {
      look.complete = true;
      return look;
    }
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && same_letters(line.substr(0, colon), "cookie")) {
      look.value = cookie_in(line.substr(colon + 1), name);
      if (!look.value.empty()) {
        look.complete = true;
        return look;
      }
    }
    line_start = line_end;
  }
  return look;
}

}  // namespace pronghorn::distributor
