// The header fields of a head: llhttp reads them, or a shortcut for what most requests are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/config/config.h"
#include "worker/fields/request_head.h"
#include "worker/http1/parser/refusal.h"

namespace pronghorn::worker {

// Fills `fields`, `field_count`, `known` and `repeated` of `head`, whose method and minor version are set already.
// Refuses what is no field, too many of them, and methods that are not known.
//
// `bytes` is a head as scan_head() found it; `first_line` is the length of its request line. The views point into it.
[[nodiscard]] Refusal read_fields(std::string_view bytes, std::size_t first_line, const HttpLimits& limits,
                                  RequestHead& head);

// The same, by llhttp whatever the head is; for the comparison of both.
[[nodiscard]] Refusal read_fields_by_llhttp(std::string_view bytes, std::size_t first_line, const HttpLimits& limits,
                                            RequestHead& head);

// Whether llhttp takes requests with that method; others are answered 501.
[[nodiscard]] bool is_known_method(std::string_view method) noexcept;

}  // namespace pronghorn::worker
