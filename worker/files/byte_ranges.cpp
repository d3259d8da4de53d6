#include "worker/files/byte_ranges.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "worker/fields/text.h"

namespace pronghorn::worker {

namespace {

// nullopt if malformed. A number above 64 bits is UINT64_MAX, which is past the end of any file.
std::optional<std::uint64_t> read_position(std::string_view digits) noexcept {
  std::uint64_t position = 0;
  const char* const end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, position);
  if (result.ec == std::errc::result_out_of_range && result.ptr == end) return UINT64_MAX;
  if (digits.empty() || result.ec != std::errc{} || result.ptr != end) return std::nullopt;
  return position;
}

// Parses "5-9", "5-" or "-5". nullopt if malformed; length 0 if it lies outside the representation.
std::optional<ByteRange> read_range(std::string_view text, std::uint64_t size) noexcept {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view first_text = text.substr(0, dash);
  const std::string_view last_text = text.substr(dash + 1);
  const auto last = read_position(last_text);
  if (!last_text.empty() && !last) return std::nullopt;
  if (first_text.empty()) {  // a suffix range
    if (!last) return std::nullopt;
    // An empty representation satisfies every suffix but "-0", and no Content-Range can say so: all of it is sent
    // instead (RFC 9110 section 14.1.2).
    if (size == 0 && *last > 0) return std::nullopt;
    const std::uint64_t length = std::min(*last, size);
    return ByteRange{size - length, length};
  }
  const auto first = read_position(first_text);
  if (!first || (last && *last < *first)) return std::nullopt;
  if (*first >= size) return ByteRange{0, 0};
  const std::uint64_t end = last && *last < size - 1 ? *last : size - 1;
  return ByteRange{*first, end - *first + 1};
}

bool overlap(const ByteRange& a, const ByteRange& b) noexcept {
  return a.offset < b.offset + b.length && b.offset < a.offset + a.length;
}

// Adds a range, joined with all ranges that it overlaps, in the place of the first of these. One pass is enough:
// `ranges` are disjoint, so joining one of them cannot make `added` overlap another.
void add_range(std::vector<ByteRange>& ranges, ByteRange added) {
  auto place = ranges.end();
  for (auto range = ranges.begin(); range != ranges.end();) {
    if (!overlap(*range, added)) {
      ++range;
      continue;
    }
    const std::uint64_t end = std::max(range->offset + range->length, added.offset + added.length);
    added.offset = std::min(range->offset, added.offset);
    added.length = end - added.offset;
    if (place == ranges.end()) {
      place = range++;
    } else {
      range = ranges.erase(range);  // behind `place`, which stays valid
    }
  }
  if (place == ranges.end()) {
    ranges.push_back(added);
  } else {
    *place = added;
  }
}

}  // namespace

RangeSet read_ranges(std::string_view field, std::uint64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  if (!equal_ignoring_case(field.substr(0, kUnit.size()), kUnit)) return {};
  field.remove_prefix(kUnit.size());
  RangeSet set;
  for (std::size_t count = 0; !field.empty();) {
    const std::string_view text = take_until(field, ',');
    if (text.empty()) continue;  // a list may have empty elements (RFC 9110 section 5.6.1.2)
    const auto range = read_range(text, size);
    if (!range || ++count > kMaxRanges) return {};
    set.kind = RangeSet::Kind::satisfiable;
    if (range->length > 0) add_range(set.ranges, *range);
  }
  if (set.kind == RangeSet::Kind::satisfiable && set.ranges.empty()) set.kind = RangeSet::Kind::unsatisfiable;
  return set;
}

std::string content_range(const ByteRange& range, std::uint64_t size) {
  return fmt::format("bytes {}-{}/{}", range.offset, range.offset + range.length - 1, size);
}

}  // namespace pronghorn::worker
