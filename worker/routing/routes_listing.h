// The routes of an application as a table: the output of `pronghorn routes APP.so`.
#pragma once

#include <string>

#include "common/config/config.h"
#include "pronghorn/app.h"

namespace pronghorn::worker {

// A table, one line a route in the order in which they were added: method (WEBSOCKET for WebSockets), path, limits,
// deadline, largest body or message, how long an idempotent() route keeps its responses, how long those of a cached()
// route are fresh and, after a +, used while they are stale, priority, number of middleware, and the name where it is not
// the default one.
// Runs `setup` and throws what it throws; needs neither a loop nor Redis.
[[nodiscard]] std::string list_routes(const Config& config, void (*setup)(App&));

}  // namespace pronghorn::worker
