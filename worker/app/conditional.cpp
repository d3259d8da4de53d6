#include "worker/app/conditional.h"

#include <charconv>
#include <optional>

#include "worker/app/http_date.h"
#include "worker/http/syntax.h"

namespace pronghorn::worker {

namespace {

// Whether a list of entity tags ("*", or quoted tags with an optional W/) has `etag`. A weak tag counts only when
// `weak_counts`.
bool list_has(std::string_view list, std::string_view etag, bool weak_counts) noexcept {
  if (trim_blanks(list) == "*") return true;
  while (!list.empty()) {
    const std::size_t begin = list.find('"');
    if (begin == std::string_view::npos) return false;
    const std::size_t end = list.find('"', begin + 1);
    if (end == std::string_view::npos) return false;
    const bool weak = begin >= 2 && list.substr(begin - 2, 2) == "W/";
    if ((weak_counts || !weak) && list.substr(begin, end + 1 - begin) == etag) return true;
    list.remove_prefix(end + 1);
  }
  return false;
}

// 0 when the preconditions hold, else the status.
int check_preconditions(const Request& request, const Representation& now) {
  if (const auto match = request.header("if-match")) {
    if (!list_has(*match, now.etag, false)) return 412;
  } else if (const auto unmodified = request.header("if-unmodified-since")) {
    const auto date = parse_http_date(*unmodified);
    if (date && now.modified > *date) return 412;
  }
  if (const auto none_match = request.header("if-none-match")) {
    if (list_has(*none_match, now.etag, true)) return 304;
  } else if (const auto modified = request.header("if-modified-since")) {
    const auto date = parse_http_date(*modified);
    if (date && now.modified <= *date) return 304;
  }
  return 0;
}

bool range_applies(const Request& request, const Representation& now) {
  const auto if_range = request.header("if-range");
  if (!if_range) return true;
  if (if_range->starts_with('"')) return *if_range == now.etag;
  const auto date = parse_http_date(*if_range);
  return date && *date == now.modified;
}

std::optional<std::uint64_t> read_position(std::string_view digits) noexcept {
  std::uint64_t position = 0;
  const char* const end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, position);
  if (result.ec == std::errc::result_out_of_range && result.ptr == end) return UINT64_MAX;
  if (digits.empty() || result.ec != std::errc{} || result.ptr != end) return std::nullopt;
  return position;
}

// "bytes=5-9", "bytes=5-", "bytes=-5". Absent: no range that we serve.
std::optional<Selection> read_range(std::string_view field, std::uint64_t size) noexcept {
  constexpr std::string_view kUnit = "bytes=";
  if (field.size() <= kUnit.size() || !equal_ignoring_case(field.substr(0, kUnit.size()), kUnit)) return std::nullopt;
  const std::string_view range = trim_blanks(field.substr(kUnit.size()));
  const std::size_t dash = range.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view first_text = range.substr(0, dash);
  const std::string_view last_text = range.substr(dash + 1);
  const auto last = read_position(last_text);
  if (!last_text.empty() && !last) return std::nullopt;
  if (first_text.empty()) {  // the last bytes
    if (!last) return std::nullopt;
    const std::uint64_t length = *last < size ? *last : size;
    if (length == 0) return Selection{416, 0, 0};
    return Selection{206, size - length, length};
  }
  const auto first = read_position(first_text);
  if (!first || (last && *last < *first)) return std::nullopt;
  if (*first >= size) return Selection{416, 0, 0};
  const std::uint64_t end = last && *last < size - 1 ? *last : size - 1;
  return Selection{206, *first, end - *first + 1};
}

}  // namespace

Selection select(const Request& request, const Representation& representation) {
  if (const int status = check_preconditions(request, representation)) return {status, 0, 0};
  const auto range = request.header("range");
  if (range && request.method() == "GET" && range_applies(request, representation)) {
    if (const auto selected = read_range(*range, representation.size)) return *selected;
  }
  return {200, 0, representation.size};
}

}  // namespace pronghorn::worker
