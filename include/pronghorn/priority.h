// What is refused first when a worker is overloaded: Route::priority() in pronghorn/app.h.
#pragma once

#include <cstdint>

namespace pronghorn {

// While a worker is overloaded, the server refuses requests from the bottom up, with 503 and Retry-After: background
// ones at once, normal ones that have waited for longer than a worker should let them wait. Critical ones are refused
// only when they alone are more than the worker can do. The server's own endpoints (/health, /ready, /status, /metrics)
// are never refused.
enum class Priority : std::uint8_t { background, normal, critical };

}  // namespace pronghorn
