// What responses say about rate limits: draft-ietf-httpapi-ratelimit-headers-10.
#pragma once

#include "pronghorn/error.h"
#include "pronghorn/response.h"
#include "worker/state/limits/rate_limiter.h"

namespace pronghorn::worker {

// Sets the fields that `style` asks for; none if the decision was made without Redis.
//
//   RateLimit-Policy: "burst";q=10;w=1, "daily";q=1000;w=86400
//   RateLimit: "burst";r=9;t=1, "daily";r=702;t=3000
//
// The older RateLimit-Limit, RateLimit-Remaining and RateLimit-Reset describe the limit that leaves the fewest requests.
void add_limit_fields(Response& response, const LimitDecision& decision, LimitFieldStyle style);

// The answer to a refused request: 429, or 503 without Redis, with Retry-After and without the fields above.
[[nodiscard]] ErrorAnswer limit_refusal(const LimitDecision& decision);

}  // namespace pronghorn::worker
