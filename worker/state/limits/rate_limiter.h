// Checks rate limits (pronghorn/limit.h): one Lua script and one round trip for all limits of a request, on Redis' clock.
//
// The key of a limit is NAME:l:ROUTE:ALGORITHM-WINDOW:WHO, so that a limit whose algorithm or window changes in a new
// release starts from zero instead of misreading the old data. Every key expires.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "pronghorn/error.h"
#include "pronghorn/limit.h"
#include "pronghorn/redis.h"
#include "pronghorn/request.h"
#include "pronghorn/task.h"

namespace pronghorn::worker {

class RedisClient;

// One limit and one request.
struct LimitOutcome {
  std::string name;  // unique among the limits of the route
  bool allowed = true;
  bool concurrent = false;
  std::uint32_t count = 0;
  std::chrono::seconds window{};
  std::uint32_t remaining = 0;                // requests that it still allows
  std::optional<std::chrono::seconds> reset;  // until it allows one more, rounded up; empty: unknown
};

// All limits of a route and one request.
struct LimitDecision {
  bool allowed = true;
  int status = 0;                      // 0 if allowed, 429 if over a limit, 503 if refused because Redis is unavailable
  std::chrono::seconds retry_after{};  // at least 1 if refused
  std::vector<LimitOutcome> outcomes;  // in the order of the limits; empty if decided without Redis
};

// Which fields responses carry; see limit_fields.h. The option rate_limit_fields.
enum class LimitFieldStyle { draft, legacy, both };

// Context: loop thread; one per worker.
class RateLimiter {
 public:
  // `client` is null with --redis none: then every check is decided as if Redis were unavailable.
  RateLimiter(RedisClient* client, const Config& config, WorkerRow& row);
  RateLimiter(const RateLimiter&) = delete;
  RateLimiter& operator=(const RateLimiter&) = delete;

  // Checks the request against `limits`, and counts it for all of them if all allow it. `names[i]` identifies limits[i]
  // within the application: the route, and which of its limits. A concurrency limit counts the request until the request
  // ends. `request`, `limits` and `names` must outlive the task. Counts refusals (429) and decisions without Redis in
  // the worker's row. Throws only what a limit's `key` throws.
  [[nodiscard]] Task<LimitDecision> check(Request& request, std::span<const Limit> limits,
                                          std::span<const std::string> names);

  [[nodiscard]] LimitFieldStyle field_style() const noexcept { return field_style_; }

 private:
  [[nodiscard]] std::string key_of(Request& request, const Limit& limit, std::string_view name) const;
  LimitDecision without_redis(std::span<const Limit> limits);
  LimitDecision from_reply(const Reply& reply, std::span<const Limit> limits);

  RedisClient* client_;
  std::string prefix_;
  WorkerRow& row_;
  LimitFieldStyle field_style_;
  bool told_error_ = false;
};

// As in keys and in the script: "fixed", "sliding", "bucket", "gcra", "concurrent".
[[nodiscard]] const char* algorithm_name(LimitAlgorithm algorithm) noexcept;

}  // namespace pronghorn::worker
