#include "worker/state/limits/rate_limiter.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/config/networks.h"
#include "common/log.h"
#include "common/random_hex.h"
#include "worker/state/keys/key.h"
#include "worker/state/limits/limit_script.h"
#include "worker/state/redis/link/reply_errors.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/run_script.h"

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestWindow = std::chrono::hours(24 * 366);
constexpr std::chrono::seconds kRetryWithoutRedis{2};  // a restarting Redis is usually back by then
constexpr std::chrono::seconds kRetryUnknown{1};       // a running request may end at any time

milliseconds window_of(const Limit& limit) { return std::clamp(limit.window, milliseconds(1), kLongestWindow); }

// Rounds up, so that a client that waits that long does not come too early.
std::chrono::seconds whole_seconds(std::int64_t ms) {
  return std::chrono::seconds((std::clamp<std::int64_t>(ms, 0, 2 * kLongestWindow.count()) + 999) / 1000);
}

// The address; of IPv6 its /64, which one subscriber owns and could otherwise choose addresses from at will.
std::string client_key(const std::string& address) {
  if (address.find(':') == std::string::npos) return address;
  auto ip = parse_ip_address(address);
  if (!ip || ip->bits != 128) return address;
  std::fill(ip->bytes.begin() + 8, ip->bytes.end(), std::uint8_t{0});
  return to_string(*ip) + "/64";
}

// The limit's own name, or that of its algorithm; numbered if an earlier limit has the same.
std::string unique_name(const Limit& limit, const std::vector<LimitOutcome>& earlier) {
  const std::string name = limit.name.empty() ? algorithm_name(limit.algorithm) : limit.name;
  std::string unique = name;
  for (int number = 2; std::ranges::find(earlier, unique, &LimitOutcome::name) != earlier.end(); ++number) {
    unique = name + "-" + std::to_string(number);
  }
  return unique;
}

// The places of one request in concurrency limits. Releases them when the request ends, which destroys its attachments.
class Places {
 public:
  Places(RedisClient& client, std::string request) : client_(&client), request_(std::move(request)) {}
  Places(Places&& other) noexcept
      : client_(other.client_), keys_(std::exchange(other.keys_, {})), request_(std::move(other.request_)) {}
  Places& operator=(Places&&) = delete;
  ~Places() {
    for (const std::string& key : keys_) client_->post(std::array<std::string_view, 3>{"ZREM", key, request_});
  }
  void add(std::string key) { keys_.push_back(std::move(key)); }
  void forget() noexcept { keys_.clear(); }

 private:
  RedisClient* client_;
  std::vector<std::string> keys_;
  std::string request_;
};

}  // namespace

const char* algorithm_name(LimitAlgorithm algorithm) noexcept {
  switch (algorithm) {
    case LimitAlgorithm::sliding_window:
      return "sliding";
    case LimitAlgorithm::token_bucket:
      return "bucket";
    case LimitAlgorithm::gcra:
      return "gcra";
    case LimitAlgorithm::concurrency:
      return "concurrent";
    case LimitAlgorithm::fixed_window:
      break;
  }
  return "fixed";
}

RateLimiter::RateLimiter(RedisClient* client, const Config& config, WorkerRow& row)
    : client_(client),
      prefix_(key_prefix(config.name) + ":l:"),
      row_(row),
      field_style_(config.rate_limit_fields == "legacy" ? LimitFieldStyle::legacy
                   : config.rate_limit_fields == "both" ? LimitFieldStyle::both
                                                        : LimitFieldStyle::draft) {}

std::string RateLimiter::key_of(Request& request, const Limit& limit, std::string_view name) const {
  std::string key = prefix_ + escape_key(name);
  key.append(":").append(algorithm_name(limit.algorithm));
  key.append("-").append(std::to_string(window_of(limit).count())).append(":");
  return key + bounded_key(limit.key ? limit.key(request) : client_key(request.client().address));
}

Task<LimitDecision> RateLimiter::check(Request& request, std::span<const Limit> limits,
                                       std::span<const std::string> names) {
  const auto counts_running = [](const Limit& limit) { return limit.algorithm == LimitAlgorithm::concurrency; };
  // Not the request's id, which a proxy may give to several.
  const std::string id = std::ranges::any_of(limits, counts_running) ? random_hex() : std::string();
  std::vector<std::string> keys;
  std::vector<std::string> words{id};
  for (std::size_t i = 0; i < limits.size(); ++i) {
    keys.push_back(key_of(request, limits[i], names[i]));
    words.insert(words.end(), {algorithm_name(limits[i].algorithm), std::to_string(limits[i].count),
                               std::to_string(window_of(limits[i]).count())});
  }
  if (client_ == nullptr) co_return without_redis(limits);

  // Before the round trip: if the request ends meanwhile, its places are given up after they were taken.
  Places places(*client_, id);
  for (std::size_t i = 0; i < limits.size(); ++i) {
    if (counts_running(limits[i])) places.add(keys[i]);
  }
  const std::vector<std::string_view> key_views(keys.begin(), keys.end());
  const std::vector<std::string_view> args(words.begin(), words.end());
  try {
    const Reply reply = co_await run_script(*client_, limit_script(), key_views, args);
    require_success(reply);
    LimitDecision decision = from_reply(reply, limits);
    if (!decision.allowed) {
      places.forget();
    } else if (!id.empty()) {
      request.attach(std::move(places));
    }
    co_return decision;
  } catch (const RedisUnavailable&) {  // logged by the Redis client
  } catch (const RedisError& error) {
    if (!std::exchange(told_error_, true)) {
      log_error("Redis cannot count rate limits; deciding without it", {{"error", error.what()}});
    }
  }
  co_return without_redis(limits);
}

LimitDecision RateLimiter::from_reply(const Reply& reply, std::span<const Limit> limits) {
  const Reply::Array& values = reply.array();
  if (values.size() != 3 * limits.size()) throw RedisError("unexpected reply to the rate limit script");
  LimitDecision decision;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    LimitOutcome outcome;
    outcome.name = unique_name(limits[i], decision.outcomes);
    outcome.allowed = values[3 * i].integer() != 0;
    outcome.concurrent = limits[i].algorithm == LimitAlgorithm::concurrency;
    outcome.count = limits[i].count;
    outcome.window = whole_seconds(window_of(limits[i]).count());
    outcome.remaining =
        static_cast<std::uint32_t>(std::clamp<std::int64_t>(values[3 * i + 1].integer(), 0, limits[i].count));
    if (const std::int64_t more_ms = values[3 * i + 2].integer(); more_ms >= 0) outcome.reset = whole_seconds(more_ms);
    if (!outcome.allowed) {
      decision.allowed = false;
      decision.status = 429;
      decision.retry_after = std::max({decision.retry_after, outcome.reset.value_or(kRetryUnknown), kRetryUnknown});
    }
    decision.outcomes.push_back(std::move(outcome));
  }
  if (!decision.allowed) add(row_[Count::limits_refused]);
  return decision;
}

LimitDecision RateLimiter::without_redis(std::span<const Limit> limits) {
  add(row_[Count::limits_unavailable]);
  LimitDecision decision;
  if (std::ranges::any_of(limits, [](const Limit& each) { return each.when_unavailable == WhenUnavailable::deny; })) {
    decision.allowed = false;
    decision.status = 503;
    decision.retry_after = kRetryWithoutRedis;
  }
  return decision;
}

}  // namespace pronghorn::worker
