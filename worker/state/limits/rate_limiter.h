// Rate limits: one Lua script an algorithm, one round trip a check, on the server's clock; see pronghorn/limit.h.
//
// The key is NAME:l:ROUTE:ALGORITHM-WINDOW:WHO: a limit that a new release changes starts anew instead of
// misreading what the old one has left. Every key has a time to live.
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
  bool unavailable = false;  // decided without Redis: `limit`, `remaining` and `reset` say nothing
  int status = 0;            // of the refusal: 429, or 503 when it was decided without Redis; 0 when allowed
  std::uint32_t limit = 0;
  std::uint32_t remaining = 0;
  // Allowed: until the window ends, or until the bucket is full again. Refused: the same as retry_after.
  std::chrono::seconds reset{0};
  int retry_after = 0;  // seconds, at least 1 when refused
};

// Context: loop thread; one per worker.
class RateLimiter {
 public:
  // `client` is null with --redis none: then every check is decided as if Redis were away.
  RateLimiter(RedisClient* client, const Config& config, WorkerRow& row);
  RateLimiter(const RateLimiter&) = delete;
  RateLimiter& operator=(const RateLimiter&) = delete;

  // Counts this request. `name` tells this limit from every other of the application (the route, and which of its
  // limits); it, `request` and `limit` outlive the task. Counts refusals (429) and decisions without Redis in the
  // worker's row. Throws only what `limit.key` throws.
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

// Which of two limits of one route a response should show: the one that leaves less.
[[nodiscard]] const LimitOutcome& tighter(const LimitOutcome& a, const LimitOutcome& b) noexcept;

// Sets RateLimit-Limit, RateLimit-Remaining and RateLimit-Reset; nothing when the outcome was decided without Redis.
void add_limit_fields(Response& response, const LimitOutcome& outcome);

// The answer to a request that was refused: problem+json with Retry-After and the fields above.
[[nodiscard]] Response limit_response(const LimitOutcome& outcome);

}  // namespace pronghorn::worker
