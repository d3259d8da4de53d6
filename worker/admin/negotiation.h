// Which of two media types a client prefers (RFC 9110 section 12.5.1).
#pragma once

#include <string_view>

namespace pronghorn::worker {

// True when the value of Accept gives text/html more weight than application/json. A tie, a missing field and a
// malformed one mean JSON: programs seldom send Accept, browsers do.
[[nodiscard]] bool prefers_html(std::string_view accept) noexcept;

}  // namespace pronghorn::worker
