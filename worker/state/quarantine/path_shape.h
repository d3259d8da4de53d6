// The shape of a path: the part that requests for different items have in common.
#pragma once

#include <string>
#include <string_view>

namespace pronghorn::worker {

// Decodes the percent-encoding of `path` and, in each segment, replaces what identifies a single item: a UUID by
// "{uuid}", 16 or more hex digits by "{hex}", random-looking text by "{token}", otherwise each run of digits by "N".
// Encoded slashes and bytes other than visible ASCII are %XX in the result, so it is at most three times as long.
//
//   /users/17/posts/2026-11-22  →  /users/N/posts/N-N-N
//   /%75sers/17                 →  /users/N
[[nodiscard]] std::string path_shape(std::string_view path);

// `text` with all bytes other than visible ASCII as %XX, truncated to `most` bytes.
[[nodiscard]] std::string visible(std::string_view text, std::size_t most);

}  // namespace pronghorn::worker
