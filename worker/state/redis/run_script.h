// Running Lua scripts by their SHA-1.
#pragma once

#include <span>
#include <string_view>

#include "pronghorn/redis.h"
#include "pronghorn/task.h"
#include "worker/state/redis/node/redis_call.h"

namespace pronghorn::worker {

// Runs a script: EVALSHA, then EVAL if Redis does not know the script yet. One round trip, or two the first time.
// `script`, `keys`, `args` and the text they refer to must outlive the task. Throws like RedisCall; an error from Redis is
// an error Reply.
[[nodiscard]] Task<Reply> run_script(RedisClient& client, const Script& script, std::span<const std::string_view> keys,
                                     std::span<const std::string_view> args, CallOptions options = {});

}  // namespace pronghorn::worker
