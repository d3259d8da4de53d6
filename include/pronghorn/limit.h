// Rate limits, counted in Redis and therefore exact over all workers and machines.
//
// One Lua script and one round trip a check, on the server's clock. An answer carries RateLimit-Limit,
// RateLimit-Remaining and RateLimit-Reset; a refused one is 429 with Retry-After.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "pronghorn/detail/export.h"
#include "pronghorn/request.h"

namespace pronghorn {

enum class LimitAlgorithm {
  fixed_window,  // `count` per window that begins with the first request; cheapest; up to twice `count` around an edge
  sliding_window,  // `count` in any window: the previous window counts in proportion to what of it is still in view
  token_bucket,    // a bucket of `count` tokens that refills evenly over `window`: bursts up to `count`, then steady
};

// What a limit does when Redis cannot be asked. Every such decision is counted in /status and /metrics.
enum class WhenUnavailable { allow, deny };

struct Limit {
  std::uint32_t count = 0;
  std::chrono::milliseconds window{};
  LimitAlgorithm algorithm = LimitAlgorithm::fixed_window;
  WhenUnavailable when_unavailable = WhenUnavailable::allow;  // deny answers 503 with Retry-After
  // Who is counted: the text names a bucket. Empty: the client's address, of IPv6 its /64, which belongs to one client.
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

// `count` requests per `window` for each client address (IPv6: for each /64).
inline Limit per_client(std::uint32_t count, std::chrono::milliseconds window) { return {count, window, {}, {}, {}}; }
// The same for whatever `key` names, such as a user or an API token.
inline Limit per_key(std::uint32_t count, std::chrono::milliseconds window, std::function<std::string(Request&)> key) {
  return {count, window, {}, {}, std::move(key)};
}

inline std::chrono::milliseconds seconds(std::int64_t count) { return std::chrono::seconds(count); }
inline std::chrono::milliseconds minutes(std::int64_t count) { return std::chrono::minutes(count); }

}  // namespace pronghorn
