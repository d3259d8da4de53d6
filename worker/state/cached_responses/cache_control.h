// The field Cache-Control (RFC 9111 section 5.2). No I/O.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace pronghorn::worker {

// The directives that count for a cache, of a request or a response. Unknown ones are ignored.
struct CacheControl {
  bool no_store = false;    // or quotation marks are wrong, so that a directive may be hidden among them
  bool no_cache = false;    // with or without field names
  bool is_private = false;  // the same
  bool is_public = false;
  bool must_revalidate = false;  // or proxy-revalidate
  bool only_if_cached = false;
  // An invalid time, or one that is given twice with different values, is zero (section 4.2.1: consider it stale); one
  // above 366 days counts as that.
  std::optional<std::chrono::seconds> max_age = {};
  std::optional<std::chrono::seconds> s_maxage = {};
  std::optional<std::chrono::seconds> min_fresh = {};
  std::optional<std::chrono::seconds> stale_while_revalidate = {};  // RFC 5861

  // Adds what one field says; call it for each field of the name.
  void add(std::string_view value);
};

// A number of seconds (delta-seconds, section 1.2.2), at most 366 days. nullopt if it is not one.
[[nodiscard]] std::optional<std::chrono::seconds> parse_delta_seconds(std::string_view text) noexcept;

}  // namespace pronghorn::worker
