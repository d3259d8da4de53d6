// Origins of web pages (RFC 6454), as browsers name them in Origin.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace pronghorn::worker {

// Whether `text` is what a browser sends as Origin: scheme "://" host [":" port], or "null".
[[nodiscard]] bool is_origin(std::string_view text) noexcept;

// Whether two origins are the same: the same scheme, host and port, where http has port 80 and https 443 if none is
// named. "null" is not the same as "null": it stands for pages of many sources.
[[nodiscard]] bool same_origin(std::string_view a, std::string_view b) noexcept;

// Whether a page of `origin` comes from `host` (the value of Host), which was reached over https or http.
[[nodiscard]] bool comes_from(std::string_view origin, std::string_view host, bool https) noexcept;

}  // namespace pronghorn::worker
