// A response as it is kept for repetitions of its request.
#pragma once

#include <cstddef>
#include <string>

#include "pronghorn/response.h"

namespace pronghorn::worker {

inline constexpr std::size_t kMaxKeptBody = 256 * 1024;  // bytes

struct KeptResponse {
  int status = 0;  // 0: the request was carried out, and its response could not be kept
  std::string content_type = {};
  std::string fields = {};  // "Name: value\r\n" each
  std::string body = {};
};

// Whether the response ends its request: sending the request again would not help. Not for 408, 425, 429 and 5xx, nor
// for a status that no response may have.
[[nodiscard]] bool is_final(const Response& response) noexcept;

// What is kept of a final response. Streams, files and bodies above kMaxKeptBody cannot be: status 0. Without fields
// that belong to one exchange: Set-Cookie, Date, X-Request-Id.
[[nodiscard]] KeptResponse keep(const Response& response);

// The response to a repetition, with "Idempotency-Replayed: true". Throws HttpError 409 if it could not be kept,
// RedisError if `kept`, which comes from Redis, is no valid response.
[[nodiscard]] Response replay(KeptResponse kept);

}  // namespace pronghorn::worker
