// Correlates a request with logs elsewhere: X-Request-Id, and traceparent of W3C Trace Context. No I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pronghorn::worker {

inline constexpr std::size_t kMaxClientId = 128;  // bytes of an X-Request-Id
inline constexpr std::size_t kTraceparent = 55;   // bytes of a traceparent
inline constexpr std::size_t kTraceId = 32;       // hex digits

// Whether `id` may stand in logs and responses: 1 to 128 letters, digits and . _ ~ + / = : @ -
[[nodiscard]] bool is_request_id(std::string_view id) noexcept;

// A valid traceparent: views into the field.
struct TraceContext {
  std::string_view trace_id;  // 32 lower-case hex digits, not all zero
  std::string_view flags;     // 2 hex digits
};
// Version 00, or the fields of version 00 in a higher one (section 3.2.2 of the recommendation). Nothing for an invalid
// field, whose trace then starts anew.
[[nodiscard]] std::optional<TraceContext> parse_traceparent(std::string_view field) noexcept;

// Writes "00-trace-span-flags". `seed` is unique to the request; it gives the span and, without a `caller`, the trace.
void write_traceparent(char (&text)[kTraceparent], const std::optional<TraceContext>& caller, std::uint64_t seed_high,
                       std::uint64_t seed_low) noexcept;

}  // namespace pronghorn::worker
