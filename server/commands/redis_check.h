// Whether a worker could use the Redis of a configuration.
#pragma once

#include <string>

#include "common/config/config.h"

namespace pronghorn::server {

// Connects as a worker does: to the server, the primary that sentinels name or the nodes of a cluster, with login and
// trial write. Returns nothing if Redis serves, else one line that says why not, without the password. Blocks for at most
// 1 s and three times redis_timeout. From then on this process logs nothing.
[[nodiscard]] std::string check_redis(const Config& config);

}  // namespace pronghorn::server
