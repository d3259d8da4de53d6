#include "worker/state/cached_responses/cache_control.h"

#include <algorithm>
#include <cstdint>

#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

using std::chrono::seconds;

constexpr std::int64_t kLongestAge = 366 * 24 * 3600;

struct Directive {
  std::string_view name;
  std::string_view argument;  // without quotation marks
  bool is_quoted_well;        // no mark is missing, or elsewhere than around the whole argument
};

bool ends_argument(std::string_view rest) noexcept {
  return rest.empty() || rest[0] == ',' || rest[0] == ' ' || rest[0] == '\t';
}

// Takes the next element of the list. Commas in quoted strings do not end it.
Directive take_directive(std::string_view& list) {
  std::size_t end = 0;
  bool quoted = false, is_quoted_well = true;
  for (; end < list.size(); ++end) {
    const char c = list[end];
    if (quoted && c == '\\') {
      ++end;
    } else if (c == '"') {
      const bool is_in_place = quoted ? ends_argument(list.substr(end + 1)) : end > 0 && list[end - 1] == '=';
      is_quoted_well = is_quoted_well && is_in_place;
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      break;
    }
  }
  std::string_view text = list.substr(0, std::min(end, list.size()));
  list.remove_prefix(std::min(end + 1, list.size()));
  const std::string_view name = take_until(text, '=');
  text = trim_blanks(text);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return {name, text, is_quoted_well && !quoted};
}

void set_time(std::optional<seconds>& time, std::string_view text) {
  const seconds given = parse_delta_seconds(text).value_or(seconds(0));
  time = time && *time != given ? seconds(0) : given;
}

}  // namespace

std::optional<seconds> parse_delta_seconds(std::string_view text) noexcept {
  if (text.empty()) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = std::min(kLongestAge, value * 10 + (c - '0'));
  }
  return seconds(value);
}

void CacheControl::add(std::string_view value) {
  while (!value.empty()) {
    const auto [name, argument, is_quoted_well] = take_directive(value);
    const auto is = [name = name](std::string_view known) { return equal_ignoring_case(name, known); };
    if (is("no-store") || !is_quoted_well) no_store = true;
    if (is("no-cache")) no_cache = true;
    if (is("private")) is_private = true;
    if (is("public")) is_public = true;
    if (is("must-revalidate") || is("proxy-revalidate")) must_revalidate = true;
    if (is("only-if-cached")) only_if_cached = true;
    if (is("max-age")) set_time(max_age, argument);
    if (is("s-maxage")) set_time(s_maxage, argument);
    if (is("min-fresh")) set_time(min_fresh, argument);
    if (is("stale-while-revalidate")) set_time(stale_while_revalidate, argument);
  }
}

}  // namespace pronghorn::worker
