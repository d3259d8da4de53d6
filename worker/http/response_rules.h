// What HTTP allows a response to be, whatever the protocol that sends it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "pronghorn/response.h"
#include "worker/http/response_access.h"

namespace pronghorn::worker {

// How the content of a response is framed.
struct ResponseContent {
  bool sent = true;                          // false: the head is all (HEAD, 101, 204, 304)
  std::optional<std::uint64_t> length = {};  // absent: unknown (a stream), or not to be announced (204, 304)
};

// Drops content that `response` must not carry, and tells how it is framed: 204, 205 and 304 have none (RFC 9110
// sections 15.3.5, 15.3.6 and 15.4.5), a 304 has no type either, and a 205 announces a length of zero. The status is 101 or 200..599: ServedApp
// answers 500 for a handler that returned another.
[[nodiscard]] inline ResponseContent apply_response_rules(Response& response, std::string_view method) noexcept {
  const int status = response.status();
  if (status == 204 || status == 205 || status == 304) [[unlikely]] {
    ResponseAccess::drop_content(response);
    if (status == 205) return {.sent = false, .length = 0};
    if (status == 304) ResponseAccess::literal_type(response, {});
    return {.sent = false};
  }
  if (status == 101) [[unlikely]]
    return {.sent = false};
  const bool sent = method != "HEAD";
  if (ResponseAccess::producer(response) != nullptr) return {.sent = sent};
  const auto& file = ResponseAccess::file(response);
  return {.sent = sent, .length = file != nullptr ? file->length : response.body().size()};
}

}  // namespace pronghorn::worker
