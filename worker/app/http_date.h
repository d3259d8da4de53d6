// Dates in header fields (RFC 9110 section 5.6.7), whatever the process's locale.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace pronghorn::worker {

// "Sun, 06 Nov 1994 08:49:37 GMT"
[[nodiscard]] std::string http_date(std::time_t time);

// Reads that form. The two obsolete ones are not understood: a condition that is not understood does not apply, and the
// whole answer is always right.
[[nodiscard]] std::optional<std::time_t> parse_http_date(std::string_view text) noexcept;

}  // namespace pronghorn::worker
