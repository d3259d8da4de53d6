// Rate limits: counted in Redis, so they are exact across all workers and machines.
//
// One Lua script checks all limits of a route in one round trip, by the clock of the Redis server. If one limit refuses
// a request, the request counts for none of them, and the client gets 429 with Retry-After. Responses describe the
// limits with RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10); the option `rate_limit_fields`
// selects the older RateLimit-Limit, RateLimit-Remaining and RateLimit-Reset.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "pronghorn/request.h"

namespace pronghorn {

enum class LimitAlgorithm {
  // `count` requests per window; the first request after the end of a window begins the next. The cheapest algorithm. A
  // client can make up to twice `count` requests around the boundary of two windows.
  fixed_window,
  // `count` requests in any window. The requests of the previous fixed window are weighted by how much of it lies
  // within the last `window`.
  sliding_window,
  // A bucket of `count` tokens, refilled evenly over `window`; a request takes one. Allows bursts up to `count`.
  token_bucket,
  // The same as token_bucket with less memory: one number per client. Requests are spaced by window / count, with bursts
  // of up to `count`.
  gcra,
  // `count` requests at a time. A request counts until its response is sent, but at most for `window`, so that requests
  // of a killed worker do not count for ever.
  concurrency,
};

// What a limit does if Redis is unavailable. Each such decision is counted in /status and /metrics.
enum class WhenUnavailable { allow, deny };

// One limit of a route: see Route::limit() in pronghorn/app.h. Made by per_client() or per_key().
struct Limit {
  std::uint32_t count = 0;             // at least 1
  std::chrono::milliseconds window{};  // at least 1 ms; more than 366 days count as 366 days
  LimitAlgorithm algorithm = LimitAlgorithm::fixed_window;
  WhenUnavailable when_unavailable = WhenUnavailable::allow;  // deny: 503 with Retry-After
  // Returns the key that requests are counted by. Empty function: the client's address (of IPv6 its /64, which belongs
  // to one client). Called on the loop thread for every request; must not block. What it throws fails the request.
  std::function<std::string(Request&)> key{};

  // The policy's name in RateLimit-Policy and RateLimit. Empty: the name of the algorithm, as in "fixed" or "gcra".
  std::string name{};

  // Sets the name: 1 to 64 letters, digits and "-_.". Throws std::invalid_argument for other text.
  PRONGHORN_API Limit& named(std::string_view policy) &;
  Limit&& named(std::string_view policy) && { return std::move(this->named(policy)); }
  Limit& sliding() & noexcept {
    algorithm = LimitAlgorithm::sliding_window;
    return *this;
  }
  Limit&& sliding() && noexcept { return std::move(this->sliding()); }
  Limit& bucket() & noexcept {
    algorithm = LimitAlgorithm::token_bucket;
    return *this;
  }
  Limit&& bucket() && noexcept { return std::move(this->bucket()); }
  Limit& gcra() & noexcept {
    algorithm = LimitAlgorithm::gcra;
    return *this;
  }
  Limit&& gcra() && noexcept { return std::move(this->gcra()); }
  Limit& concurrent() & noexcept {
    algorithm = LimitAlgorithm::concurrency;
    return *this;
  }
  Limit&& concurrent() && noexcept { return std::move(this->concurrent()); }
  Limit& deny_when_unavailable() & noexcept {
    when_unavailable = WhenUnavailable::deny;
    return *this;
  }
  Limit&& deny_when_unavailable() && noexcept { return std::move(this->deny_when_unavailable()); }
};

// `count` requests per `window` for each client address (IPv6: each /64): per_client(100, 1min).
inline Limit per_client(std::uint32_t count, std::chrono::milliseconds window) {
  return {.count = count, .window = window};
}
// `count` requests per `window` for each value of `key`, such as a user or an API token.
inline Limit per_key(std::uint32_t count, std::chrono::milliseconds window, std::function<std::string(Request&)> key) {
  return {.count = count, .window = window, .key = std::move(key)};
}

}  // namespace pronghorn
