#include "worker/state/limits/rate_limiter.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/config/networks.h"
#include "common/log.h"
#include "worker/state/keys/key.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/reply_errors.h"
#include "worker/state/redis/run_script.h"

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestWindow = std::chrono::hours(24 * 366);
constexpr int kRetryWithoutRedis = 2;  // seconds: a restarting Redis is usually back by then

// All scripts: KEYS[1] holds the state; ARGV: count, window in ms. They return allowed (1 or 0), requests remaining, ms
// until the reset, ms until a retry can succeed.

const Script& fixed_window_script() {
  static const Script script(R"lua(
local count, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local used = redis.call('INCR', KEYS[1])
local left = -1
if used > 1 then left = redis.call('PTTL', KEYS[1]) end
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  left = window
end
if used > count then return {0, 0, left, left} end
return {1, count - used, left, 0}
)lua");
  return script;
}

// Two counters: one for this window, one for the window before. The requests of the window before count as if they were
// spread evenly, so fewer of them count the more of this window has passed.
const Script& sliding_window_script() {
  static const Script script(R"lua(
local count, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local saved = redis.call('HMGET', KEYS[1], 'window', 'current', 'previous')
local index = math.floor(now / window)
local last = tonumber(saved[1]) or index
local current, previous = tonumber(saved[2]) or 0, tonumber(saved[3]) or 0
if index < last then -- the clock was set back
  index = last
  now = index * window
elseif index == last + 1 then
  current, previous = 0, current
elseif index > last then
  current, previous = 0, 0
end
local elapsed = now - index * window
local used = current + previous * (window - elapsed) / window
if used + 1 > count then
  local wait
  if current + 1 <= count then -- until enough of the window before no longer counts
    wait = window * (1 - (count - 1 - current) / previous) - elapsed
  else -- until enough of this one no longer counts, in the next
    wait = window - elapsed + window * (1 - (count - 1) / current)
  end
  wait = math.max(1, math.ceil(wait))
  return {0, 0, wait, wait}
end
redis.call('HSET', KEYS[1], 'window', index, 'current', current + 1, 'previous', previous)
redis.call('PEXPIRE', KEYS[1], 2 * window)
return {1, math.floor(count - used - 1), window - elapsed, 0}
)lua");
  return script;
}

// The key expires when the bucket is full again: a missing bucket counts as full.
const Script& token_bucket_script() {
  static const Script script(R"lua(
local count, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local saved = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = math.min(count, tonumber(saved[1]) or count)
local at = tonumber(saved[2]) or now
if now > at then
  tokens = math.min(count, tokens + (now - at) * count / window)
else
  now = at -- the clock was set back
end
if tokens < 1 then
  local wait = math.max(1, math.ceil((1 - tokens) * window / count))
  return {0, 0, wait, wait}
end
tokens = tokens - 1
local full = math.max(1, math.ceil((count - tokens) * window / count))
redis.call('HSET', KEYS[1], 'tokens', string.format('%.17g', tokens), 'at', string.format('%.3f', now))
redis.call('PEXPIRE', KEYS[1], full)
return {1, math.floor(tokens), full, 0}
)lua");
  return script;
}

const Script& script_of(LimitAlgorithm algorithm) {
  switch (algorithm) {
    case LimitAlgorithm::sliding_window:
      return sliding_window_script();
    case LimitAlgorithm::token_bucket:
      return token_bucket_script();
    case LimitAlgorithm::fixed_window:
      break;
  }
  return fixed_window_script();
}

const char* short_name(LimitAlgorithm algorithm) noexcept {
  switch (algorithm) {
    case LimitAlgorithm::sliding_window:
      return "sliding";
    case LimitAlgorithm::token_bucket:
      return "bucket";
    case LimitAlgorithm::fixed_window:
      break;
  }
  return "fixed";
}

milliseconds window_of(const Limit& limit) { return std::clamp(limit.window, milliseconds(1), kLongestWindow); }

// Rounds up, so that a client that waits that long does not come too early.
int whole_seconds(std::int64_t ms) {
  const std::int64_t bounded = std::clamp<std::int64_t>(ms, 0, 2 * kLongestWindow.count());
  return static_cast<int>((bounded + 999) / 1000);
}

// The address; of IPv6 its /64, which one subscriber owns and could otherwise choose addresses from at will.
std::string client_key(const std::string& address) {
  if (address.find(':') == std::string::npos) return address;
  auto ip = parse_ip_address(address);
  if (!ip || ip->bits != 128) return address;
  std::fill(ip->bytes.begin() + 8, ip->bytes.end(), std::uint8_t{0});
  return to_string(*ip) + "/64";
}

LimitOutcome refused(const Limit& limit, std::int64_t wait_ms) {
  LimitOutcome outcome;
  outcome.allowed = false;
  outcome.status = 429;
  outcome.limit = limit.count;
  outcome.retry_after = std::max(1, whole_seconds(wait_ms));
  outcome.reset = std::chrono::seconds(outcome.retry_after);
  return outcome;
}

}  // namespace

RateLimiter::RateLimiter(RedisClient* client, const Config& config, WorkerRow& row)
    : client_(client), prefix_(key_prefix(config.name) + ":l:"), row_(row) {}

std::string RateLimiter::key_of(Request& request, const Limit& limit, std::string_view name) const {
  std::string key = prefix_ + escape_key(name);
  key.append(":").append(short_name(limit.algorithm));
  key.append("-").append(std::to_string(window_of(limit).count())).append(":");
  return key + bounded_key(limit.key ? limit.key(request) : client_key(request.client().address));
}

Task<LimitOutcome> RateLimiter::check(Request& request, const Limit& limit, std::string_view name) {
  const milliseconds window = window_of(limit);
  if (limit.count == 0) {
    add(row_[Count::limits_refused]);
    co_return refused(limit, window.count());
  }
  const std::string key = key_of(request, limit, name);
  if (client_ == nullptr) co_return without_redis(limit);

  const std::string count_text = std::to_string(limit.count);
  const std::string window_text = std::to_string(window.count());
  const std::array<std::string_view, 1> keys{key};
  const std::array<std::string_view, 2> args{count_text, window_text};
  try {
    const Reply reply = co_await run_script(*client_, script_of(limit.algorithm), keys, args);
    require_served(reply);
    co_return from_reply(reply, limit);
  } catch (const RedisUnavailable&) {  // logged by the Redis client
  } catch (const RedisError& error) {
    if (!std::exchange(told_error_, true)) {
      log_error("Redis cannot count rate limits; deciding without it", {{"error", error.what()}});
    }
  }
  co_return without_redis(limit);
}

LimitOutcome RateLimiter::from_reply(const Reply& reply, const Limit& limit) {
  const Reply::Array& values = reply.array();
  if (values.size() != 4) throw RedisError("unexpected reply to a rate limit script");
  if (values[0].integer() == 0) {
    add(row_[Count::limits_refused]);
    return refused(limit, values[3].integer());
  }
  LimitOutcome outcome;
  outcome.limit = limit.count;
  outcome.remaining = static_cast<std::uint32_t>(std::clamp<std::int64_t>(values[1].integer(), 0, limit.count));
  outcome.reset = std::chrono::seconds(whole_seconds(values[2].integer()));
  return outcome;
}

LimitOutcome RateLimiter::without_redis(const Limit& limit) {
  add(row_[Count::limits_unavailable]);
  LimitOutcome outcome;
  outcome.unavailable = true;
  outcome.limit = limit.count;
  if (limit.when_unavailable == WhenUnavailable::deny) {
    outcome.allowed = false;
    outcome.status = 503;
    outcome.retry_after = kRetryWithoutRedis;
  }
  return outcome;
}

const LimitOutcome& tighter(const LimitOutcome& a, const LimitOutcome& b) noexcept {
  if (a.allowed != b.allowed) return a.allowed ? b : a;
  if (a.unavailable != b.unavailable) return a.unavailable ? b : a;
  return b.remaining < a.remaining ? b : a;
}

void add_limit_fields(Response& response, const LimitOutcome& outcome) {
  if (outcome.unavailable) return;
  response.set("RateLimit-Limit", std::to_string(outcome.limit));
  response.set("RateLimit-Remaining", std::to_string(outcome.remaining));
  response.set("RateLimit-Reset", std::to_string(outcome.reset.count()));
}

Response limit_response(const LimitOutcome& outcome) {
  const std::string seconds_text = std::to_string(outcome.retry_after);
  Response response = outcome.status == 429
                          ? problem(429, "too many requests; try again in " + seconds_text +
                                             (outcome.retry_after == 1 ? " second" : " seconds"))
                          : problem(503, "the rate limit of this route cannot be checked; try again later");
  response.set("Retry-After", seconds_text);
  add_limit_fields(response, outcome);
  return response;
}

}  // namespace pronghorn::worker
