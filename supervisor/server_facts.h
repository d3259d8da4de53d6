// What the scoreboard tells of the server as a whole: where it listens, which Redis it uses.
#pragma once

#include <string>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "supervisor/ground.h"

namespace pronghorn::supervisor {

// "embedded", "none" or "server".
[[nodiscard]] std::string redis_mode(const Config& config);

// Fills in what is known before the first worker starts: name, pid, addresses and Redis.
void describe_server(ServerRow& server, const Ground& ground);

// The Redis of `config`, whose address is shown without its password, and whether the server is ready without it. Call
// again when a rollout has brought another configuration.
void describe_redis(ServerRow& server, const Config& config);

}  // namespace pronghorn::supervisor
