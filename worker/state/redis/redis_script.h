// Scripts, and what error replies mean.
#pragma once

#include <span>
#include <string_view>

#include "pronghorn/redis.h"
#include "pronghorn/task.h"

namespace pronghorn::worker {

class RedisClient;

// Throws for an error reply: RedisUnavailable when Redis says that it cannot serve just now, else RedisError.
void require_success(const Reply& reply);

// Runs a script in one round trip, or two when Redis does not know it yet. `script` and what `keys` and `args` refer to
// outlive the task. Throws as require_success() and RedisCall do.
[[nodiscard]] Task<Reply> run_script(RedisClient& client, const Script& script, std::span<const std::string_view> keys,
                                     std::span<const std::string_view> args);

}  // namespace pronghorn::worker
