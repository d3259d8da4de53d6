// The Lua scripts of rate limits.
#pragma once

#include "pronghorn/redis.h"

namespace pronghorn::worker {

// Checks all limits of a request at once: it counts for every limit, or, if one of them refuses it, for none.
//
// KEYS[i] holds the state of limit i. ARGV[1] identifies the request; then, for each limit, its algorithm (a name from
// algorithm_name()), count, window in ms, and how many permits to take if there are as many; a negative number if the
// limit is in shadow mode, which refuses nothing and does not count what it would refuse. Of several permits it takes at
// most half of what is left, but at least one.
//
// Returns three integers for each limit: 1 if it allows the request, else 0; the number of requests that it still
// allows; the time in ms until it allows one more, -1 if that is unknown. Then two more for each limit of which several
// permits were wanted: how many were taken, and for how many ms they count.
[[nodiscard]] const Script& limit_script();

// Takes back what limit_script() has counted: one permit of each limit. The same KEYS; ARGV as above without the
// identity and the permits. Not for concurrency limits.
[[nodiscard]] const Script& take_back_script();

// KEYS[1] is a concurrency limit. Without ARGV, returns the holders (see places.h) of its requests, at most 1000. With
// ARGV, removes the requests of these holders and returns how many there were.
[[nodiscard]] const Script& holders_script();

}  // namespace pronghorn::worker
