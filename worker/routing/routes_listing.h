// The routes of an application as a table: the output of `pronghorn routes APP.so`.
#pragma once

#include <string>

#include "common/config/config.h"
#include "pronghorn/app.h"

namespace pronghorn::worker {

// A table, one line a route in the order in which they were added: method, path, limits, deadline, largest body, how
// long an idempotent() route keeps its responses, number of middleware, and the name where it is not the default one.
// Runs `setup` and throws what it throws; needs neither a loop nor Redis.
[[nodiscard]] std::string list_routes(const Config& config, void (*setup)(App&));

}  // namespace pronghorn::worker
