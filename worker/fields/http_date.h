// Dates in header fields (RFC 9110 section 5.6.7). Independent of the process's locale.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace pronghorn::worker {

// Formats `time` as IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT".
[[nodiscard]] std::string http_date(std::time_t time);

// Parses IMF-fixdate and the two obsolete formats, "Sunday, 06-Nov-94 08:49:37 GMT" (a year more than 50 years in the
// future belongs to the previous century) and "Sun Nov  6 08:49:37 1994". nullopt for anything else.
[[nodiscard]] std::optional<std::time_t> parse_http_date(std::string_view text) noexcept;

}  // namespace pronghorn::worker
