// What HTTP allows a response to be, whatever the protocol that sends it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "pronghorn/response.h"

namespace pronghorn::worker {

// How the content of a response is framed.
struct ResponseContent {
  bool sent = true;                          // false: the head is all (HEAD, 204, 304)
  std::optional<std::uint64_t> length = {};  // absent: unknown (a stream), or not to be announced (204, 304)
};

// Drops content that `response` must not carry, and tells how it is framed: 204, 205 and 304 have none (RFC 9110
// sections 15.3.5, 15.3.6 and 15.4.5), and a 205 announces a length of zero. The status is 200..599: Application answers
// 500 for a handler that returned another.
[[nodiscard]] ResponseContent apply_response_rules(Response& response, std::string_view method);

}  // namespace pronghorn::worker
