// The syntax of Host (RFC 9110 section 7.2), and of the authority in a request target.
#pragma once

#include <string_view>

namespace pronghorn::worker {

// Whether `text` is uri-host [":" port] of RFC 3986 section 3.2: a bracketed IPv6 address, an IPv4 address or a name,
// and an optional port up to 65535. An empty text is valid. Two things that the grammar allows are refused: a comma in
// a name, because two joined Host fields look like that, and addresses of future versions of IP.
[[nodiscard]] bool is_host(std::string_view text) noexcept;

// Whether `text` is an origin as browsers send it in the field Origin (RFC 6454 section 6.2), which is what the origins
// of an option are compared with: scheme "://" host [":" port], in lower case and without the default port of http and
// https. Not "null".
[[nodiscard]] bool is_sent_origin(std::string_view text) noexcept;

// Whether a valid Host names this machine to itself: "localhost" or a loopback address, with or without a port. A web
// page cannot make a browser send such a Host by DNS rebinding.
[[nodiscard]] bool is_local_host(std::string_view host) noexcept;

}  // namespace pronghorn::worker
