// Warns if two applications use the same name by accident.
#pragma once

#include "common/config/config.h"
#include "pronghorn/task.h"

namespace pronghorn::worker {

class RedisClient;

// Logs a warning if the option `name` was not set and the Redis server was last used under this name by an application
// with another path: their sessions and rate limits would be shared. Does nothing for the embedded Redis, and when Redis
// is unavailable. `client` and `config` must outlive the task. Never throws.
[[nodiscard]] Task<void> claim_name(RedisClient& client, const Config& config);

}  // namespace pronghorn::worker
