// Which of two media types a client would rather have (RFC 9110 section 12.5.1).
#pragma once

#include <string_view>

namespace pronghorn::worker {

// True when the value of Accept gives text/html more weight than application/json. A tie, no field and what cannot be
// read mean JSON: programs seldom say, browsers do.
[[nodiscard]] bool prefers_html(std::string_view accept) noexcept;

}  // namespace pronghorn::worker
