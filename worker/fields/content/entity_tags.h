// Entity tags in conditions (RFC 9110 section 8.8.3).
#pragma once

#include <string_view>

namespace pronghorn::worker {

// Whether a list of entity tags contains `etag`; "*" contains every tag. If `weak_counts`, tags are compared weakly:
// W/"a" and "a" are the same. Otherwise only strong tags match, and `etag` must be strong.
[[nodiscard]] bool list_has_tag(std::string_view list, std::string_view etag, bool weak_counts) noexcept;

}  // namespace pronghorn::worker
