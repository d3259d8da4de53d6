#include "worker/state/limits/rate_limiter.h"

#include <algorithm>
#include <utility>

#include "common/config/redis_url.h"
#include "common/log.h"
#include "pronghorn/concurrent.h"
#include "worker/state/keys/key.h"
#include "worker/state/redis/redis_client.h"

namespace pronghorn::worker {
namespace {

constexpr std::chrono::seconds kRetryWithoutRedis{2};  // a restarting Redis is usually back by then
constexpr std::chrono::seconds kRetryUnknown{1};       // a running request may end at any time
constexpr std::size_t kMostSeen = 4096;
constexpr std::uint32_t kLeastLease = 2;  // a lease of one permit is none

bool is_concurrent(const Limit& limit) noexcept { return limit.algorithm == LimitAlgorithm::concurrency; }

bool refuses(const Limit& limit, const std::optional<LimitVerdict>& verdict) noexcept {
  return verdict && !verdict->allowed && !limit.never_refuses;
}

// Rounds up, so that a client that waits that long does not come too early.
std::chrono::seconds whole_seconds(std::int64_t ms) {
  constexpr std::int64_t kLongest = std::int64_t{2} * 366 * 24 * 3'600'000;
  return std::chrono::seconds((std::clamp<std::int64_t>(ms, 0, kLongest) + 999) / 1000);
}

std::string policy_name(const Limit& limit) {
  return limit.name.empty() ? algorithm_name(limit.algorithm) : limit.name;
}

// The limit's own name, or that of its algorithm; numbered if an earlier limit has the same.
std::string unique_name(const Limit& limit, const std::vector<LimitOutcome>& earlier) {
  std::string unique = policy_name(limit);
  for (int number = 2; std::ranges::find(earlier, unique, &LimitOutcome::name) != earlier.end(); ++number) {
    unique = policy_name(limit) + "-" + std::to_string(number);
  }
  return unique;
}

LimitOutcome outcome_of(const Limit& limit, const std::optional<LimitVerdict>& verdict, std::string name) {
  LimitOutcome outcome{.name = std::move(name),
                       .concurrent = is_concurrent(limit),
                       .known = verdict.has_value(),
                       .count = limit.count,
                       .window = whole_seconds(window_of(limit).count()),
                       .reset = {}};
  if (!verdict) return outcome;
  outcome.allowed = verdict->allowed;
  outcome.remaining = std::min(verdict->remaining, limit.count);
  if (verdict->reset_ms >= 0) outcome.reset = whole_seconds(verdict->reset_ms);
  return outcome;
}

LimitFieldStyle style_of(const std::string& option) {
  if (option == "legacy") return LimitFieldStyle::legacy;
  return option == "both" ? LimitFieldStyle::both : LimitFieldStyle::draft;
}

}  // namespace

RateLimiter::RateLimiter(RedisClient* client, const Config& config, WorkerRow& row, LeaseTable* leases)
    : client_(client),
      row_(row),
      field_style_(style_of(config.rate_limit_fields)),
      one_slot_(is_redis_cluster(config.redis)),
      patience_(std::max(config.redis_timeout, Milliseconds(1)) + Milliseconds(100)),
      keys_(key_prefix(config.name) + ":l:"),
      holders_(client),
      own_leases_(leases == nullptr ? std::make_unique<LeaseTable>() : nullptr),
      leases_(leases == nullptr ? *own_leases_ : *leases) {}

Task<LimitDecision> RateLimiter::check(Request& request, Limits limits, Names names) {
  std::vector<Checked> checked(limits.size());
  // Also without Redis: what a key throws fails the request in any case.
  const bool all_known = find_keys(request, limits, names, checked);
  if (client_ == nullptr) co_return without_redis(limits);
  try {
    if (!all_known) co_await await_keys(request, limits, names, checked);
    for (bool again = true;; again = false) {
      Places places;
      if (draw(limits, checked)) {
        add(row_[Count::limits_leased]);
      } else {
        places = co_await ask(limits, checked);
      }
      bool refused = false;
      for (std::size_t i = 0; i < limits.size(); ++i) refused = refused || refuses(limits[i], checked[i].verdict);
      if (!refused) {
        if (!places.keys().empty()) request.attach(std::move(places));
        co_return decide(request, limits, names, checked);
      }
      give_back(checked);
      const bool freed = again && co_await free_places(limits, checked);
      if (!freed) co_return decide(request, limits, names, checked);
      for (Checked& each : checked) each.verdict.reset();
    }
  } catch (const RedisUnavailable&) {  // logged by the Redis client
  } catch (const RedisError& error) {
    if (!std::exchange(told_error_, true)) {
      log_error("Redis cannot count rate limits; deciding without it", {{"error", error.what()}});
    }
  }
  give_back(checked);
  co_return without_redis(limits);
}

void RateLimiter::set_key(Checked& checked, const Limit& limit, std::string_view name, std::string_view who) {
  checked.who = who_part(who);
  const std::string& base = keys_.base_of(limit, name);
  checked.key.reserve(base.size() + checked.who.size() + 1);
  checked.key.assign(base).append(checked.who).append("}");
}

// Those that need no wait. Whether these are all.
bool RateLimiter::find_keys(Request& request, Limits limits, Names names, std::vector<Checked>& checked) {
  bool all = true;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    if (!limits[i].key && limits[i].key_task) {
      all = false;
    } else {
      set_key(checked[i], limits[i], names[i], limits[i].key ? limits[i].key(request) : client_key(request));
    }
  }
  return all;
}

Task<void> RateLimiter::await_keys(Request& request, Limits limits, Names names, std::vector<Checked>& checked) {
  for (std::size_t i = 0; i < limits.size(); ++i) {
    if (!checked[i].key.empty()) continue;
    const std::string who = co_await limits[i].key_task(request);
    set_key(checked[i], limits[i], names[i], who);
  }
}

// Permits that the machine has leased, and refusals that it knows of. Whether these decide: Redis need not be asked.
bool RateLimiter::draw(Limits limits, std::vector<Checked>& checked) {
  bool all = true;
  bool refused = false;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    if (limits[i].permits_leased >= kLeastLease) draw(limits[i], checked[i]);
    all = all && checked[i].verdict;
    refused = refused || refuses(limits[i], checked[i].verdict);
  }
  return all || refused;
}

void RateLimiter::draw(const Limit& limit, Checked& checked) {
  const std::uint64_t now = monotonic_ms();
  if (seen_.size() >= kMostSeen) seen_.clear();
  Seen& seen = seen_[checked.key];
  if (seen.digest == 0) seen.digest = leases_.digest(checked.key);
  checked.may_lease = seen.at_ms != 0 && now < seen.at_ms + static_cast<std::uint64_t>(window_of(limit).count());
  checked.digest = seen.digest;
  seen.at_ms = now;
  const Leases::Draw drawn = leases_.draw(seen.digest, now);
  if (drawn.kind == Leases::Draw::Kind::none) return;
  // The table has whole seconds, rounded up: no window that ends takes longer than itself. A sliding one has no end.
  const bool slides = limit.algorithm == LimitAlgorithm::sliding_window;
  const std::int64_t longest = slides ? INT64_MAX : window_of(limit).count();
  LimitVerdict verdict{.allowed = drawn.kind == Leases::Draw::Kind::drawn,
                       .remaining = drawn.rest,
                       .reset_ms = std::clamp<std::int64_t>(static_cast<std::int64_t>(drawn.reset_ms), 1, longest),
                       .drawn = {}};
  if (verdict.allowed) verdict.drawn = drawn.row;
  checked.verdict = verdict;
}

void RateLimiter::give_back(std::vector<Checked>& checked) {
  for (Checked& each : checked) {
    if (!each.verdict || !each.verdict->drawn) continue;
    leases_.give_back(*each.verdict->drawn, monotonic_ms());
    each.verdict->drawn.reset();
    ++each.verdict->remaining;
  }
}

std::vector<std::shared_ptr<LimitQuestion>> RateLimiter::questions(Limits limits, const std::vector<Checked>& checked) {
  std::vector<std::shared_ptr<LimitQuestion>> questions;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    if (checked[i].verdict) continue;
    auto which = std::ranges::find_if(questions, [&](const std::shared_ptr<LimitQuestion>& question) {
      return !one_slot_ || checked[question->asked().front().position].who == checked[i].who;
    });
    if (which == questions.end()) {
      // Not the request's id, which a proxy may give to several.
      const bool counts_running = std::ranges::any_of(limits, is_concurrent);
      which = questions.insert(
          which, std::make_shared<LimitQuestion>(*client_, counts_running ? holders_.next_request() : std::string(),
                                                 limits.size() - i));
    }
    std::optional<Leases::Fetch> fetch =
        checked[i].may_lease ? leases_.begin_fetch(checked[i].digest, monotonic_ms(), patience_) : std::nullopt;
    (*which)->add(i, limits[i], checked[i].key, std::move(fetch));
  }
  return questions;
}

// A question that takes permits for others goes on if the request ends.
Task<void> RateLimiter::ask(const std::shared_ptr<LimitQuestion>& question) {
  Task<void> task = LimitQuestion::ask(question);
  return question->takes_more() ? shield(std::move(task)) : std::move(task);
}

// Asks Redis about the limits that have no verdict yet. Returns the places that the request has in concurrency limits.
Task<Places> RateLimiter::ask(Limits limits, std::vector<Checked>& checked) {
  const std::vector<std::shared_ptr<LimitQuestion>> asked = questions(limits, checked);
  if (asked.size() == 1) {
    Task<void> task = ask(asked.front());
    co_await std::move(task);
  } else {
    std::vector<Task<void>> tasks;
    for (const auto& question : asked) tasks.push_back(ask(question));
    co_await when_all(std::move(tasks));
  }
  bool refused = false;
  for (const auto& question : asked) {
    for (const LimitQuestion::Asked& each : question->asked()) checked[each.position].verdict = each.verdict;
    refused = refused || !question->counted();
  }
  Places places;
  for (const auto& question : asked) {
    if (!question->counted()) {
      question->places().forget();
    } else if (refused) {
      question->take_back();
      for (const LimitQuestion::Asked& each : question->asked()) {
        if (each.verdict.allowed && !each.verdict.drawn) ++checked[each.position].verdict->remaining;
      }
    } else {
      places.join(std::move(question->places()));
    }
  }
  co_return places;
}

// Of the concurrency limits that refuse the request: whether one has room now.
Task<bool> RateLimiter::free_places(Limits limits, const std::vector<Checked>& checked) {
  bool freed = false;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    if (!is_concurrent(limits[i]) || !checked[i].verdict || checked[i].verdict->allowed) continue;
    const bool here = co_await holders_.free_dead(checked[i].key);
    freed = freed || here;
  }
  co_return freed;
}

LimitDecision RateLimiter::decide(Request& request, Limits limits, Names names, const std::vector<Checked>& checked) {
  LimitDecision decision;
  decision.outcomes.reserve(limits.size());
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const std::optional<LimitVerdict>& verdict = checked[i].verdict;
    if (limits[i].never_refuses) {
      if (verdict && !verdict->allowed) note_shadow(request, limits[i], names[i]);
      continue;
    }
    LimitOutcome outcome = outcome_of(limits[i], verdict, unique_name(limits[i], decision.outcomes));
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

void RateLimiter::note_shadow(Request& request, const Limit& limit, std::string_view name) {
  add(row_[Count::limits_shadowed]);
  shadow_log_.refused(name, monotonic_ms());
  auto* refusals = request.attachment<ShadowRefusals>();
  if (refusals == nullptr) refusals = &request.attach(ShadowRefusals());
  refusals->names.push_back(policy_name(limit));
}

LimitDecision RateLimiter::without_redis(Limits limits) {
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
