// The shape of a path: what requests for different things have in common.
#pragma once

#include <string>
#include <string_view>

namespace pronghorn::worker {

// `path` with its percent-encoding undone and, in each segment, what names a single thing replaced: a UUID by "{uuid}",
// 16 hex digits or more by "{hex}", a random-looking text by "{token}", else each run of digits by "N". Bytes that are
// not visible ASCII, and a slash that was encoded, are %XX in the result, so it is at most three times as long.
//
//   /users/17/posts/2026-11-22  →  /users/N/posts/N-N-N
//   /%75sers/17                 →  /users/N
[[nodiscard]] std::string path_shape(std::string_view path);

// `text` with what is not visible ASCII as %XX, at most `most` bytes of it.
[[nodiscard]] std::string visible(std::string_view text, std::size_t most);

}  // namespace pronghorn::worker
