// Parses a complete request head. llhttp reads the fields; the rules about framing are this server's own, so that they
// do not depend on the version of llhttp.
#pragma once

#include <cstddef>
#include <string_view>

#include "common/config/config.h"
#include "worker/fields/request_head.h"
#include "worker/http1/parser/refusal.h"

namespace pronghorn::worker {

// Parses `bytes`, a head that scan_head() found complete; `first_line` is the length of its request line. On success
// the views in `head` point into `bytes`. Otherwise `head` is unspecified, except for its method and version once the
// request line was valid. Refuses (RFC 9112):
//  - 400: a malformed request line, target or field; no Host, several, or an invalid one; Content-Length that is
//    repeated, not a number, or together with Transfer-Encoding; "chunked" that is not last or is repeated;
//    an empty element in Transfer-Encoding; Transfer-Encoding in HTTP/1.0;
//  - 414, 431: the limits;
//  - 417: an expectation other than 100-continue;
//  - 501: CONNECT, and transfer codings other than chunked;
//  - 505: a major version other than 1.
// Every other method that is a token is accepted; the application decides whether it has a route for it.
[[nodiscard]] Refusal parse_head(std::string_view bytes, std::size_t first_line, const HttpLimits& limits,
                                 RequestHead& head);

// The same rules for a head whose method, target, version and fields another protocol has read. Fills what parse_head()
// derives from them: path, query, content_length, expect_continue.
[[nodiscard]] Refusal check_head(RequestHead& head);

}  // namespace pronghorn::worker
