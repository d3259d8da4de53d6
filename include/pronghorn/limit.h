// Rate limits: counted in Redis, so they are exact across all workers and machines.
//
// A check is one Lua script and one round trip, and uses the clock of the Redis server. Responses carry RateLimit-Limit,
// RateLimit-Remaining and RateLimit-Reset; a request over the limit gets a 429 with Retry-After.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "pronghorn/detail/export.h"
#include "pronghorn/request.h"

namespace pronghorn {

enum class LimitAlgorithm {
  // `count` requests per window; a window begins with the first request after the last one has ended. The cheapest. A
  // client can make up to twice `count` requests around the edge of two windows.
  fixed_window,
  // `count` requests in any window: the requests of the previous window count in proportion to its part that is still
  // within one window from now.
  sliding_window,
  // A bucket of `count` tokens, refilled evenly over `window`; a request takes one. Allows bursts up to `count`.
  token_bucket,
};

// What a limit does if Redis is unavailable. Each such decision is counted in /status and /metrics.
enum class WhenUnavailable { allow, deny };

// One limit of a route or group: see Route::limit() in pronghorn/app.h. Made by per_client() or per_key().
struct Limit {
  std::uint32_t count = 0;             // 0 refuses every request
  std::chrono::milliseconds window{};  // 1 ms to 366 days; values outside are clamped
  LimitAlgorithm algorithm = LimitAlgorithm::fixed_window;
  WhenUnavailable when_unavailable = WhenUnavailable::allow;  // deny: 503 with Retry-After
  // Returns the key that requests are counted by. Empty function: the client's address (of IPv6 its /64, which belongs
  // to one client). Called on the loop thread for every request; must not block. What it throws fails the request.
  std::function<std::string(Request&)> key;

  Limit& sliding() noexcept {
    algorithm = LimitAlgorithm::sliding_window;
    return *this;
  }
  Limit& bucket() noexcept {
    algorithm = LimitAlgorithm::token_bucket;
    return *this;
  }
  Limit& deny_when_unavailable() noexcept {
    when_unavailable = WhenUnavailable::deny;
    return *this;
  }
};

// `count` requests per `window` for each client address (IPv6: each /64).
inline Limit per_client(std::uint32_t count, std::chrono::milliseconds window) { return {count, window, {}, {}, {}}; }
// `count` requests per `window` for each value of `key`, such as a user or an API token.
inline Limit per_key(std::uint32_t count, std::chrono::milliseconds window, std::function<std::string(Request&)> key) {
  return {count, window, {}, {}, std::move(key)};
}

// per_client(100, minutes(1)). The same types as in std::chrono, so that both namespaces can be used together.
using std::chrono::minutes;
using std::chrono::seconds;

}  // namespace pronghorn
