// Finds the session cookie in the first bytes of a request, for Balance::cookie_hash. No I/O.
//
// It parses bytes of a client: tests/fuzz/balancer_fuzz.cpp.
#pragma once

#include <string>
#include <string_view>

namespace pronghorn::distributor {

struct CookieLook {
  bool complete = false;  // more bytes would not change `value`
  std::string value;      // empty: no such cookie
};

// `head`: what the client has sent so far, from its first byte.
[[nodiscard]] CookieLook find_cookie(std::string_view head, std::string_view name);

}  // namespace pronghorn::distributor
