// Percent-encoding (RFC 3986 section 2.1).
#pragma once

#include <string>
#include <string_view>

namespace pronghorn::worker {

// Replaces `decoded` by `text` with every %XX decoded. False if a '%' is not followed by two hexadecimal digits;
// `decoded` is then unspecified. `plus_is_space` is the rule of forms and query strings.
[[nodiscard]] bool percent_decode(std::string_view text, std::string& decoded, bool plus_is_space);

}  // namespace pronghorn::worker
