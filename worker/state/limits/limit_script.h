// The Lua script that checks rate limits.
#pragma once

#include "pronghorn/redis.h"

namespace pronghorn::worker {

// Checks all limits of a request at once: it counts for every limit, or, if one of them refuses it, for none.
//
// KEYS[i] holds the state of limit i. ARGV[1] identifies the request; then, for each limit, its algorithm (a name from
// algorithm_name()), count and window in ms. Returns three integers for each limit: 1 if it allows the request, else 0;
// the number of requests that it still allows; the time in ms until it allows one more, -1 if that is unknown.
[[nodiscard]] const Script& limit_script();

}  // namespace pronghorn::worker
