// Checks rate limits (pronghorn/limit.h): one Lua script per algorithm, one round trip per check, on Redis' clock.
//
// The key is NAME:l:ROUTE:ALGORITHM-WINDOW:WHO, so that a limit whose algorithm or window changes in a new release
// starts from zero instead of misreading the old data. Every key expires.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "pronghorn/limit.h"
#include "pronghorn/redis.h"
#include "pronghorn/request.h"
#include "pronghorn/response.h"
#include "pronghorn/task.h"

namespace pronghorn::worker {

class RedisClient;

struct LimitOutcome {
  bool allowed = true;
  bool unavailable = false;  // decided without Redis: `remaining` and `reset` have no meaning
  int status = 0;            // 0 if allowed, 429 if over the limit, 503 if refused because Redis is unavailable
  std::uint32_t limit = 0;
  std::uint32_t remaining = 0;
  // If allowed: until the window ends or the bucket is full. If refused: the same as retry_after.
  std::chrono::seconds reset{0};
  int retry_after = 0;  // seconds, at least 1 if refused
};

// Context: loop thread; one per worker.
class RateLimiter {
 public:
  // `client` is null with --redis none: then every check is decided as if Redis were unavailable.
  RateLimiter(RedisClient* client, const Config& config, WorkerRow& row);
  RateLimiter(const RateLimiter&) = delete;
  RateLimiter& operator=(const RateLimiter&) = delete;

  // Counts the request and decides. `name` identifies the limit within the application: the route, and which of its
  // limits. `request`, `limit` and `name` must outlive the task. Counts refusals (429) and decisions without Redis in
  // the worker's row. Throws only what `limit.key` throws.
  [[nodiscard]] Task<LimitOutcome> check(Request& request, const Limit& limit, std::string_view name);

 private:
  [[nodiscard]] std::string key_of(Request& request, const Limit& limit, std::string_view name) const;
  LimitOutcome without_redis(const Limit& limit);
  LimitOutcome from_reply(const Reply& reply, const Limit& limit);

  RedisClient* client_;
  std::string prefix_;
  WorkerRow& row_;
  bool told_error_ = false;
};

// The one of two outcomes that the response should show: a refusal, else the one with fewer requests remaining.
[[nodiscard]] const LimitOutcome& tighter(const LimitOutcome& a, const LimitOutcome& b) noexcept;

// Sets RateLimit-Limit, RateLimit-Remaining and RateLimit-Reset; nothing if the outcome was decided without Redis.
void add_limit_fields(Response& response, const LimitOutcome& outcome);

// The response to a refused request: problem+json with Retry-After and the fields above.
[[nodiscard]] Response limit_response(const LimitOutcome& outcome);

}  // namespace pronghorn::worker
