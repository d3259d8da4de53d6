// What is known of request methods.
#pragma once

#include <string_view>

namespace pronghorn::worker {

// Whether a request with this method is essentially read-only (RFC 9110 section 9.2.1). Methods that are not known here
// are not.
[[nodiscard]] inline bool is_safe_method(std::string_view method) noexcept {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE";
}

}  // namespace pronghorn::worker
