// The field Priority of a response (RFC 9218 section 5), with which an application overrides its client.
#pragma once

#include <nghttp2/nghttp2.h>

#include <string_view>

namespace pronghorn::worker {

// "u=1, i": urgency 0 (first) to 7, default 3; incremental or not. Members and values that are unknown or malformed are
// ignored, as section 4 says.
[[nodiscard]] nghttp2_extpri parse_priority(std::string_view field) noexcept;

}  // namespace pronghorn::worker
