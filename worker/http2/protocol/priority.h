// The field Priority of a request, and of a response with which an application overrides its client (RFC 9218 section
// 5).
#pragma once

#include <nghttp2/nghttp2.h>

#include <optional>
#include <string_view>

#include "worker/fields/request_head.h"

namespace pronghorn::worker {

inline constexpr nghttp2_extpri kUsualPriority{.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 0};

// "u=1, i": urgency 0 (first) to 7; incremental or not. What the field does not say is as in `otherwise` (section 8).
// Members and values that are unknown are ignored (section 4). nullopt if it is malformed.
[[nodiscard]] std::optional<nghttp2_extpri> read_priority(std::string_view field,
                                                          nghttp2_extpri otherwise = kUsualPriority) noexcept;
// The same, but a malformed field is ignored as a whole (RFC 8941 section 4.2).
[[nodiscard]] nghttp2_extpri parse_priority(std::string_view field, nghttp2_extpri otherwise = kUsualPriority) noexcept;
// Of a request. Several lines are one dictionary (RFC 9110 section 5.3), which one malformed line spoils.
[[nodiscard]] nghttp2_extpri asked_priority(const RequestHead& head);

}  // namespace pronghorn::worker
