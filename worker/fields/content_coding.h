// Content codings, and which of them a client would rather have (RFC 9110 sections 8.4.1 and 12.5.3).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "worker/fields/request_head.h"

namespace pronghorn::worker {

enum class ContentCoding : std::uint8_t { identity, br, zstd, gzip };

// "br", "zstd", "gzip", "identity".
[[nodiscard]] std::string_view name_of(ContentCoding coding) noexcept;

// The one of `offered` (the server's favourite first, identity not among them) that all Accept-Encoding fields together
// give the highest weight. Identity when the client takes none of them, prefers none, or has sent no such field; also
// when it refuses identity and everything that is offered, since an answer that it may not read is better than none.
[[nodiscard]] ContentCoding choose_coding(const RequestHead& head, std::span<const ContentCoding> offered) noexcept;

}  // namespace pronghorn::worker
