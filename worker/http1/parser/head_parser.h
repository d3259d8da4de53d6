// From the bytes of a complete head to a RequestHead: llhttp for the grammar, our own rules for what frames the
// message.
#pragma once

#include <cstddef>
#include <string_view>

#include "common/config/config.h"
#include "worker/fields/request_head.h"
#include "worker/http1/parser/refusal.h"

namespace pronghorn::worker {

// The rules of section 7 of docs/architecture.md, after RFC 9112:
//  - 400: bare CR or LF, control characters, obsolete folding, a blank before a colon, no or several Host, an invalid
//  one,
//    Content-Length together with Transfer-Encoding, repeated, signed or not a number, "chunked" not last or not once,
//    Transfer-Encoding in HTTP/1.0, a target of the wrong form;
//  - 414, 431: limits; 417: an unknown expectation; 501: an unknown method or transfer coding; 505: an unknown major
//  version.
//
// `bytes` is a head as scan_head() found it: complete, with its empty line; `first_line` is the length of its request
// line. The views of `head` point into it.
[[nodiscard]] Refusal parse_head(std::string_view bytes, std::size_t first_line, const HttpLimits& limits,
                                 RequestHead& head);

}  // namespace pronghorn::worker
