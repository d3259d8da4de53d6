// Reads the header fields of a head: by llhttp, or by a shortcut for most requests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/config/config.h"
#include "worker/fields/request_head.h"
#include "worker/http1/parser/refusal.h"

namespace pronghorn::worker {

// Fills `fields`, `field_count`, `known` and `repeated` of `head`, whose method must be set. Refuses malformed fields,
// too many of them, a method that is no token, and CONNECT. It does not judge what the fields say.
//
// `bytes` is a head that scan_head() found complete; `first_line` is the length of its request line. The views in
// `head` point into `bytes`.
[[nodiscard]] Refusal read_fields(std::string_view bytes, std::size_t first_line, const HttpLimits& limits,
                                  RequestHead& head);

// Does the same, always by llhttp. A fuzz target compares the two.
[[nodiscard]] Refusal read_fields_by_llhttp(std::string_view bytes, std::size_t first_line, const HttpLimits& limits,
                                            RequestHead& head);

}  // namespace pronghorn::worker
