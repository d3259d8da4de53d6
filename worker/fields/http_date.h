// Dates in header fields (RFC 9110 section 5.6.7), whatever the process's locale.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace pronghorn::worker {

// "Sun, 06 Nov 1994 08:49:37 GMT"
[[nodiscard]] std::string http_date(std::time_t time);

// Reads that form and the two obsolete ones, "Sunday, 06-Nov-94 08:49:37 GMT" (a year that seems to lie more than 50
// years ahead is one of the past) and "Sun Nov  6 08:49:37 1994". Absent: none of them.
[[nodiscard]] std::optional<std::time_t> parse_http_date(std::string_view text) noexcept;

}  // namespace pronghorn::worker
