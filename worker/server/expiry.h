// Enforces the timeouts of a worker's connections.
#pragma once

#include <chrono>
#include <cstdint>

#include "common/config/config.h"
#include "worker/connection/http_context.h"

namespace pronghorn::worker {

// How long connections may wait. Zero: for ever.
struct ConnectionTimeouts {
  Milliseconds header;
  Milliseconds body;
  Milliseconds write;
  Milliseconds keep_alive;
  Milliseconds linger;
  Milliseconds ping;
};

// Moves the clock of `context.timeouts` on by `ticks` (kTickMs each), closes the connections whose wait has lasted for
// its timeout or longer, and ends requests whose deadline is before `now`.
//
// Context: loop thread; called once per tick.
void expire_connections(HttpContext& context, std::uint64_t ticks, const ConnectionTimeouts& timeouts,
                        std::chrono::steady_clock::time_point now);

}  // namespace pronghorn::worker
