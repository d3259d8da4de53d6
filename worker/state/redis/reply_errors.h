// What the error replies of Redis mean.
#pragma once

#include "pronghorn/redis.h"

namespace pronghorn::worker {

// Throws if `reply` is an error: RedisUnavailable if Redis cannot serve at the moment (LOADING, READONLY, OOM …), else
// RedisError.
void require_success(const Reply& reply);

}  // namespace pronghorn::worker
