#include "worker/files/conditional.h"

#include <utility>

#include "worker/fields/content/entity_tags.h"
#include "worker/fields/http_date.h"
#include "worker/fields/sole_value.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {

namespace {

// Whether the fields of that name, each a list, contain the tag.
bool any_list_has(const Request& request, std::string_view name, std::string_view etag, bool weak_counts) noexcept {
  for (const Request::Header& field : request.headers()) {
    if (equal_ignoring_case(field.name, name) && list_has_tag(field.value, etag, weak_counts)) return true;
  }
  return false;
}

// Returns 0 if the preconditions hold, otherwise the status to answer.
int check_preconditions(const Request& request, const Representation& now) {
  if (request.header("if-match")) {
    if (!any_list_has(request, "if-match", now.etag, false)) return 412;
  } else if (const auto date = sole_date(request.headers(), "if-unmodified-since"); date && now.modified > *date) {
    return 412;
  }
  if (request.header("if-none-match")) {
    if (any_list_has(request, "if-none-match", now.etag, true)) return 304;
  } else if (const auto date = sole_date(request.headers(), "if-modified-since"); date && now.modified <= *date) {
    return 304;
  }
  return 0;
}

bool range_applies(const Request& request, const Representation& now) {
  const auto [if_range, count] = sole_value(request.headers(), "if-range");
  if (count != 1) return count == 0;
  if (if_range.starts_with('"')) return if_range == now.etag;
  // A file that changed within the current second may change again within it, so its date is a weak validator (RFC 9110
  // section 8.8.2.2).
  const auto date = parse_http_date(if_range);
  return date && *date == now.modified && now.modified < std::time(nullptr);
}

}  // namespace

Selection select(const Request& request, const Representation& representation) {
  if (const int status = check_preconditions(request, representation)) return {status, {}};
  const auto [range, ranges] = sole_value(request.headers(), "range");
  if (ranges == 1 && request.method() == "GET" && range_applies(request, representation)) {
    RangeSet set = read_ranges(range, representation.size);
    if (set.kind == RangeSet::Kind::unsatisfiable) return {416, {}};
    if (set.kind == RangeSet::Kind::satisfiable) return {206, std::move(set.ranges)};
  }
  return {};
}

}  // namespace pronghorn::worker
