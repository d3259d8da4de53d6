// Content codings and their negotiation (RFC 9110 sections 8.4.1 and 12.5.3).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "worker/fields/request_head.h"

namespace pronghorn::worker {

enum class ContentCoding : std::uint8_t { identity, br, zstd, gzip };

// The name in Content-Encoding: "br", "zstd", "gzip", "identity". A string literal.
[[nodiscard]] std::string_view name_of(ContentCoding coding) noexcept;

// Returns the coding of `offered` to which the request's Accept-Encoding fields give the highest weight. `offered` is
// in the server's order of preference, which decides between equal weights, and does not include identity.
//
// Returns identity if there is no Accept-Encoding, if it accepts none of `offered`, or if it prefers identity. A client
// that refuses identity too still gets it: 406 would help nobody.
[[nodiscard]] ContentCoding choose_coding(const RequestHead& head, std::span<const ContentCoding> offered) noexcept;

}  // namespace pronghorn::worker
