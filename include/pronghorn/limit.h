// Rate limits: counted in Redis, so they are exact across all workers and machines.
//
// One Lua script checks all limits of a route in one round trip, by the clock of the Redis server. If one limit refuses
// a request, the request counts for none of them, and the client gets 429 with Retry-After. (On a Redis Cluster, limits
// of a route whose keys differ are checked by concurrent scripts, and what they counted is taken back if one refuses.)
// Responses describe the limits with RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10); the
// option `rate_limit_fields` selects the older RateLimit-Limit, RateLimit-Remaining and RateLimit-Reset.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "pronghorn/request.h"
#include "pronghorn/task.h"

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
  // The same as token_bucket with less memory: one number per client. Requests are spaced by window / count, with
  // bursts of up to `count`.
  gcra,
  // `count` requests at a time. A request counts until its response is sent, but at most for `window`. If its worker
  // dies, it counts until a request on the same machine would be refused because of it; if its machine dies, for
  // `window`.
  concurrency,
};

// What a limit does if Redis is unavailable. Each such decision is counted in /status and /metrics.
enum class WhenUnavailable { allow, deny };

// One limit of a route: see Route::limit() in pronghorn/app.h. Made by per_client(), per_key() and the others below.
struct Limit {
  std::uint32_t count = 0;             // at least 1
  std::chrono::milliseconds window{};  // at least 1 ms; more than 366 days count as 366 days
  LimitAlgorithm algorithm = LimitAlgorithm::fixed_window;
  WhenUnavailable when_unavailable = WhenUnavailable::allow;  // deny: 503 with Retry-After
  // Returns the key that requests are counted by. Empty function: the client's address (of IPv6 its /64, which belongs
  // to one client). Called on the loop thread for every request; must not block. What it throws fails the request.
  std::function<std::string(Request&)> key{};

  // The same for a key that has to be waited for, such as one from the session. Used if `key` is empty. If it throws
  // RedisUnavailable, the limit is decided as `when_unavailable` says.
  std::function<Task<std::string>(Request&)> key_task{};

  // The policy's name in RateLimit-Policy and RateLimit. Empty: the name of the algorithm, as in "fixed" or "gcra".
  std::string name{};

  bool never_refuses = false;        // shadow()
  std::uint32_t permits_leased = 0;  // leased(): how many at once; 0: none, each request asks Redis

  // Sets the name: 1 to 64 letters, digits and "-_.". Throws std::invalid_argument for other text.
  PRONGHORN_API Limit& named(std::string_view policy) &;
  [[nodiscard]] Limit named(std::string_view policy) && { return std::move(this->named(policy)); }
  Limit& sliding() & noexcept {
    algorithm = LimitAlgorithm::sliding_window;
    return *this;
  }
  [[nodiscard]] Limit sliding() && noexcept { return std::move(this->sliding()); }
  Limit& bucket() & noexcept {
    algorithm = LimitAlgorithm::token_bucket;
    return *this;
  }
  [[nodiscard]] Limit bucket() && noexcept { return std::move(this->bucket()); }
  Limit& gcra() & noexcept {
    algorithm = LimitAlgorithm::gcra;
    return *this;
  }
  [[nodiscard]] Limit gcra() && noexcept { return std::move(this->gcra()); }
  Limit& concurrent() & noexcept {
    algorithm = LimitAlgorithm::concurrency;
    return *this;
  }
  [[nodiscard]] Limit concurrent() && noexcept { return std::move(this->concurrent()); }
  Limit& deny_when_unavailable() & noexcept {
    when_unavailable = WhenUnavailable::deny;
    return *this;
  }
  [[nodiscard]] Limit deny_when_unavailable() && noexcept { return std::move(this->deny_when_unavailable()); }

  // Counts, but refuses nothing: to try a limit out. What it would have refused is counted in /status and /metrics,
  // logged at most once a minute, and marked for the handler (see shadow_refusals()). Responses do not mention it.
  Limit& shadow() & noexcept {
    never_refuses = true;
    return *this;
  }
  [[nodiscard]] Limit shadow() && noexcept { return std::move(this->shadow()); }

  // For keys with many requests a second: the machine takes `permits` at once from Redis, and all its workers draw from
  // them in shared memory, so that most requests cost no round trip. A key is leased from its second request within a
  // window on; while Redis refuses one, the machine's workers refuse it without asking. `permits` of 0: a twentieth of
  // `count`. At most 16384, and at most half of what Redis has left.
  //
  // The price, with n permits per lease and m machines: a machine may hold back n permits that another one could use,
  // so requests of a key may be refused up to n * (m - 1) too early. With bucket() and gcra(), permits stay valid for
  // up to one window after they were taken, so a burst may be larger by n * m. A single machine is exact. A worker that
  // dies loses only permits that were on their way to it.
  //
  // Not for concurrent(): Route::limit() throws.
  PRONGHORN_API Limit& leased(std::uint32_t permits = 0) &;
  [[nodiscard]] Limit leased(std::uint32_t permits = 0) && { return std::move(this->leased(permits)); }
};

// `count` requests per `window` for each client address (IPv6: each /64): per_client(100, 1min).
inline Limit per_client(std::uint32_t count, std::chrono::milliseconds window) {
  return {.count = count, .window = window};
}
// `count` requests per `window` for each value of `key`, such as a user or an API token. `key` returns a std::string or
// a Task<std::string> from a Request&.
template <class F>
Limit per_key(std::uint32_t count, std::chrono::milliseconds window, F key) {
  Limit limit{.count = count, .window = window};
  if constexpr (requires(F& of, Request& request) {
                  { of(request) } -> std::same_as<Task<std::string>>;
                }) {
    limit.key_task = std::move(key);
  } else if constexpr (std::is_invocable_r_v<std::string, F&, Request&>) {
    limit.key = std::move(key);
  } else {
    static_assert(detail::kNever<F>, "the key of a limit is std::string(Request&) or Task<std::string>(Request&)");
  }
  return limit;
}

// The makers below count a request that has no such key by its client's address. Limits are checked before middleware
// runs, so a field of the request is what the client claims: whoever invents a new value for each request is counted
// afresh each time. Add a per_client() limit to the route, or have a proxy check the field.

// For each value of a field: per_header("X-Api-Key", 1000, 1h). Throws std::invalid_argument for an invalid name.
[[nodiscard]] PRONGHORN_API Limit per_header(std::string_view name, std::uint32_t count,
                                             std::chrono::milliseconds window);
// For each bearer token of the field Authorization. Redis gets only its digest.
[[nodiscard]] PRONGHORN_API Limit per_token(std::uint32_t count, std::chrono::milliseconds window);
// For each session that exists. The session is loaded before the limit is checked, and then is there for the handler.
[[nodiscard]] PRONGHORN_API Limit per_session(std::uint32_t count, std::chrono::milliseconds window);
// For each user that has logged in with Session::login(), over all of the user's sessions.
[[nodiscard]] PRONGHORN_API Limit per_user(std::uint32_t count, std::chrono::milliseconds window);

// The names of the limits in shadow mode that would have refused this request; empty for most requests.
[[nodiscard]] PRONGHORN_API const std::vector<std::string>& shadow_refusals(const Request& request) noexcept;

}  // namespace pronghorn
