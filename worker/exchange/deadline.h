// The deadline that a trusted proxy, or the service that calls through it, has set for a request.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "worker/exchange/exchange.h"

namespace pronghorn::worker {

// "2", "0.250": seconds, with at most 10 digits before the point and 9 behind it. nullopt for any other text, and above
// 9,000,000,000 seconds.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_seconds(std::string_view text) noexcept;

// Shortens exchange.deadline to what these fields say; never makes it longer. A malformed field is ignored.
//
//   Request-Timeout     seconds from the arrival of the request
//   X-Request-Deadline  seconds since 1970, by this machine's clock
//
// Only for requests of trusted proxies. Returns whether the deadline has passed already.
[[nodiscard]] bool shorten_deadline(Exchange& exchange) noexcept;

}  // namespace pronghorn::worker
