// What identifies a request for repetition: its Idempotency-Key, and a fingerprint that tells whether a second request
// with the key is the same one. No I/O.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "pronghorn/request.h"

namespace pronghorn::worker {

inline constexpr std::size_t kMaxIdempotencyKey = 255;  // bytes

// The key in a field value: a string of structured fields (RFC 9651 section 3.3.3), whose parameters are ignored, or
// the same text without quotation marks, as most clients send it; then without blanks, '"', '\', ',' and ';'. nullopt
// if it is malformed, empty or too long.
[[nodiscard]] std::optional<std::string> parse_idempotency_key(std::string_view value);

// The key of the request; nullopt if it has none. Throws HttpError 400 if it is malformed or there are several.
[[nodiscard]] std::optional<std::string> idempotency_key(const Request& request);

// 64 hex digits: the same for two requests of one route if their targets, media types and bodies are the same.
[[nodiscard]] std::string request_fingerprint(const Request& request, std::string_view body);

// Whom the credentials that the request carries belong to: 32 hex digits of a digest of its Authorization fields, its
// cookies of that name, the user of the token that a guard has found in a cookie, and its connection's client
// certificate; "-" if it has none of them.
[[nodiscard]] std::string credentials_of(const Request& request, std::string_view session_cookie);

}  // namespace pronghorn::worker
