#include "worker/state/cache/cache_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <utility>

#include "common/log.h"
#include "pronghorn/concurrent.h"
#include "pronghorn/redis.h"
#include "worker/crypto/random_hex.h"
#include "worker/runtime/exception_text.h"
#include "worker/state/cache/fill_wait.h"
#include "worker/state/idempotency/holder.h"
#include "worker/state/redis/redis_client.h"

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr milliseconds kVersionsOutlive = 2min;  // the entries that carry them, for fills that take long
constexpr milliseconds kRenewVersions = 2s;      // how often those are renewed that soon expire, while a fill runs
constexpr milliseconds kLook = 200ms;            // how often a waiting worker looks whether the filling one still lives
constexpr auto kRefreshAgain = 1s;               // after a refresh that failed
constexpr milliseconds kLongestLate = 1min;      // how long callers may have to wait for one that hangs
constexpr auto kServesAgainAfter = 5s;           // without a refusal, as the log tells it
constexpr std::size_t kMostFailed = 1000;        // keys that are remembered for it

// A tag that is given twice counts once.
void add_tag(CacheCall& call, std::string key, milliseconds life) {
  if (std::ranges::find(call.tags, key, &CallTag::key) == call.tags.end()) call.tags.push_back({std::move(key), life});
}

CacheAnswer answer_of(Judged judged) {
  CacheAnswer answer;
  if (!judged.entry.missing) answer.value = std::move(judged.entry.value);
  answer.age = judged.age;
  return answer;
}

}  // namespace

// Marks a key as being refreshed by this worker.
class CacheService::Refreshing {
 public:
  Refreshing(std::unordered_set<std::string>& keys, const std::string& key) : keys_(keys), key_(key) {
    keys_.insert(key_);
  }
  Refreshing(const Refreshing&) = delete;
  Refreshing& operator=(const Refreshing&) = delete;
  ~Refreshing() { keys_.erase(key_); }

 private:
  std::unordered_set<std::string>& keys_;
  std::string key_;
};

// Has the versions of a call's tags outlive its fill, however long that takes. If they expired, nobody could use its
// value, and all who wait would fill one after another.
class CacheService::RenewedVersions {
 public:
  RenewedVersions(CacheStore& store, const CacheCall& call) : store_(store), call_(call) { renew_later(); }
  RenewedVersions(const RenewedVersions&) = delete;
  RenewedVersions& operator=(const RenewedVersions&) = delete;

 private:
  void renew_later() {
    timer_.arm(
        [](void* context) {
          auto* versions = static_cast<RenewedVersions*>(context);
          versions->store_.renew_versions(versions->call_, kVersionsOutlive / 2);
          versions->renew_later();
        },
        this);
  }

  CacheStore& store_;
  const CacheCall& call_;
  pronghorn::detail::Timer timer_{kRenewVersions};
};

CacheService::CacheService(RedisClient& client, Subscriber& subscriber, const Config& config, WorkerRow& row)
    : client_(client),
      subscriber_(subscriber),
      row_(row),
      store_(client, config.name),
      local_(client, subscriber, config.cache_local_memory),
      writes_(client, row, {}),
      claimant_(name_this_process() + "/" + random_hex().substr(0, 8) + "-"),
      random_(std::random_device{}()) {}

std::shared_ptr<CacheCall> CacheService::prepare(std::string_view key, const CacheOptions& options) const {
  require_cache_text("key", key);
  require_valid(options);
  auto call = std::make_shared<CacheCall>();
  call->keys = store_.keys_of(key);
  call->lifetime = {options.ttl, options.stale, options.negative};
  for (const std::string_view tag : options.tags.list()) {
    require_cache_text("tag", tag);
    const milliseconds longest = std::max(options.ttl + options.stale, options.negative);
    add_tag(*call, store_.tag_key(tag), longest + kVersionsOutlive);
  }
  call->max_value = options.max_value;
  call->local = options.local && local_.copies().max_bytes() > 0;
  if (call->local) call->name = key;
  return call;
}

std::shared_ptr<CacheCall> CacheService::prepare_response(std::string_view name, std::string_view resource,
                                                          const CachedOptions& options) const {
  auto call = std::make_shared<CacheCall>();
  call->keys = store_.keys_of(name, kResponses);
  for (const std::string& tag : options.tags) add_tag(*call, store_.tag_key(tag), kLongestCached);
  if (!resource.empty()) {
    call->tags.push_back({store_.keys_of(resource, kResources).entry, options.ttl + options.stale + kVersionsOutlive});
  }
  call->max_value = SIZE_MAX;
  call->refreshes_in_background = false;
  return call;
}

// ---- reading

const std::string* CacheService::find_local(std::string_view key) {
  const LocalCopies::Slot* const copy = local_.find(key);
  if (copy == nullptr) return nullptr;
  add(row_[Count::cache_hits]);
  return &copy->value;
}

Task<CacheAnswer> CacheService::fetch(std::shared_ptr<CacheCall> call) {
  // What Redis was asked for before this call began may have been invalidated since.
  const auto is_accepted = [&call = *call, begun_before = fills_, began = ++moments_](const CacheAnswer& answer) {
    const bool new_enough = answer.as_of > began && (call.max_age.count() > 0 || answer.fill > begun_before);
    return new_enough && (answer.value || call.accepts_missing);
  };
  bool missed = false;
  bool waited = false;
  for (;;) {
    if (const std::shared_ptr<Flights::Flight> flight = flights_.find(call->keys.entry)) {
      if (!std::exchange(missed, true)) add(row_[Count::cache_misses]);
      if (!std::exchange(waited, true)) add(row_[Count::cache_waits]);
      if (!flight->ended) co_await flight->followers.wait();
      if (flight->answer && is_accepted(*flight->answer)) co_return *flight->answer;
      continue;
    }
    std::optional<Judged> judged;
    try {
      judged = co_await store_.look(*call, call->local ? &local_ : nullptr);
      redis_served();
    } catch (const RedisError& error) {
      redis_failed(error);
    }
    if (judged && judged->use == Judged::Use::fresh) {
      if (!missed) add(row_[Count::cache_hits]);
      co_return answer_of(std::move(*judged));
    }
    if (judged && judged->use == Judged::Use::stale) {
      Task<CacheAnswer> answering = answer_stale(call, std::move(*judged));
      CacheAnswer answer = co_await std::move(answering);
      co_return answer;
    }
    if (!std::exchange(missed, true)) add(row_[Count::cache_misses]);
    if (flights_.find(call->keys.entry)) continue;  // another caller has begun meanwhile
    std::string useless = judged ? std::move(judged->prefix) : std::string();
    CacheAnswer answer = co_await lead(std::move(call), std::move(useless), judged.has_value(), waited);
    co_return answer;
  }
}

Task<std::optional<CacheAnswer>> CacheService::peek(std::shared_ptr<CacheCall> call) {
  std::optional<CacheAnswer> answer;
  try {
    Judged judged = co_await store_.look(*call);
    if (judged.use != Judged::Use::none) answer = answer_of(std::move(judged));
  } catch (const RedisError& error) {
    redis_failed(error);
  }
  add(row_[answer ? Count::cache_hits : Count::cache_misses]);
  co_return answer;
}

Task<CacheAnswer> CacheService::lead(std::shared_ptr<CacheCall> call, std::string useless, bool with_redis,
                                     bool waited) {
  Flights::Lead lead(flights_, call->keys.entry);
  FillClaim claim(client_, call->keys, name_claim());
  std::optional<CacheAnswer> found;
  bool claimed = false;
  if (with_redis) {
    try {
      found = co_await wait_for_claim(*call, claim, std::move(useless), waited);
      claimed = !found;
    } catch (const RedisError& error) {
      redis_failed(error);
    }
  }
  if (!found) {
    CacheAnswer filled = co_await fill(*call, claimed ? &claim : nullptr, &lead, with_redis);
    co_return filled;
  }
  if (lead.followed()) lead.land(std::make_shared<const CacheAnswer>(*found));
  co_return std::move(*found);
}

// What another worker has filled meanwhile; nullopt if the claim is taken.
Task<std::optional<CacheAnswer>> CacheService::wait_for_claim(const CacheCall& call, FillClaim& claim,
                                                              std::string useless, bool waited) {
  std::optional<FillWait> wait;
  for (;;) {
    const std::uint64_t asked = ++moments_;
    FillClaim::Answer answer = co_await claim.take(useless);
    switch (answer.kind) {
      case FillClaim::Answer::Kind::taken:
        co_return std::nullopt;
      case FillClaim::Answer::Kind::held:
        if (!std::exchange(waited, true)) add(row_[Count::cache_waits]);
        if (!wait) wait.emplace(subscriber_, call.keys.news);
        co_await wait->next(std::min(answer.left, kLook));
        break;
      case FillClaim::Answer::Kind::entry: {
        Judged judged = co_await store_.judge(call, std::move(answer.entry), answer.left);
        if (judged.use != Judged::Use::none) {
          CacheAnswer found = answer_of(std::move(judged));
          found.as_of = asked;
          co_return found;
        }
        useless = std::move(judged.prefix);
        break;
      }
    }
  }
}

// ---- filling

Entry CacheService::make_entry(const CacheCall& call, std::optional<std::string> value) {
  const CacheLifetime lifetime = call.fill ? call.fill->lifetime(call.lifetime) : call.lifetime;
  const auto shortened = [this](milliseconds time) {
    return time - milliseconds(std::uniform_int_distribution<milliseconds::rep>(0, time.count() / 10)(random_));
  };
  Entry entry;
  entry.id = store_.ids().next();
  entry.missing = !value.has_value();
  entry.stale = value ? lifetime.stale : 0ms;
  entry.lifetime = value ? shortened(lifetime.ttl) + lifetime.stale : shortened(lifetime.negative);
  if (value) entry.value = std::move(*value);
  return entry;
}

Task<CacheAnswer> CacheService::fill(CacheCall& call, FillClaim* claim, Flights::Lead* lead, bool with_redis) {
  std::exception_ptr error;
  if (claim != nullptr && !call.tags.empty()) {
    bool known = false;
    try {
      call.versions = co_await store_.versions_for(call.tags);
      known = true;
    } catch (const RedisError& failed) {
      redis_failed(failed);
    }
    if (!known) co_await claim->give_up();
    if (!known) claim = nullptr;
  }
  call.stores = claim != nullptr;
  std::optional<RenewedVersions> renewed;
  if (claim != nullptr && !call.tags.empty()) renewed.emplace(store_, call);
  // A Redis that does not take the value, because it is full, may still be told of an invalidation.
  CacheAnswer answer{.fill = ++fills_, .as_of = with_redis ? ++moments_ : UINT64_MAX};
  try {
    answer.value = co_await call.fill->run();
    add(row_[Count::cache_fills]);
    if (answer.value && answer.value->size() > call.max_value) {
      throw std::length_error(
          fmt::format("cache: a value of {} bytes, more than max_value ({})", answer.value->size(), call.max_value));
    }
  } catch (...) {
    error = std::current_exception();
  }
  bool shared = true;
  if (claim != nullptr && error) {
    co_await claim->give_up();
  } else if (claim != nullptr) {
    Entry entry = make_entry(call, answer.value);
    entry.tags = call.versions;
    answer.as_of = ++moments_;
    shared = co_await store(call, *claim, entry, lead != nullptr && lead->followed());
    local_.copies().changed(call.keys.entry);
  }
  if (error) std::rethrow_exception(error);
  if (shared && lead != nullptr && lead->followed()) lead->land(std::make_shared<const CacheAnswer>(answer));
  co_return answer;
}

// Whether others may have the value: not if it was invalidated while it was computed.
Task<bool> CacheService::store(const CacheCall& call, FillClaim& claim, Entry& entry, bool shared) {
  if (entry.lifetime.count() <= 0) {  // a negative one that is not kept
    co_await claim.give_up();
    co_return true;
  }
  bool current = true;
  try {
    std::string bytes = encode(entry);
    store_.keep_versions(call, entry.lifetime);
    current = co_await claim.store(std::move(bytes), entry.lifetime);
    if (current && shared && !call.tags.empty()) current = co_await store_.are_current(entry.tags);
  } catch (const RedisError& error) {
    redis_failed(error);
  }
  co_return current;
}

// ---- values past their ttl

Task<CacheAnswer> CacheService::answer_stale(std::shared_ptr<CacheCall> call, Judged judged) {
  if (call->refreshes_in_background) {
    refresh_later(call, judged.prefix, judged.left + judged.entry.stale);
  } else {
    FillClaim claim(client_, call->keys, name_claim());
    bool taken = false;
    try {
      const FillClaim::Answer answer = co_await claim.take(judged.prefix);
      taken = answer.kind == FillClaim::Answer::Kind::taken;
    } catch (const RedisError& error) {
      redis_failed(error);
    }
    if (taken) {
      add(row_[Count::cache_misses]);
      CacheAnswer filled = co_await fill(*call, &claim, nullptr);
      co_return filled;
    }
  }
  add(row_[Count::cache_stale]);
  co_return answer_of(std::move(judged));
}

void CacheService::refresh_later(const std::shared_ptr<CacheCall>& call, std::string useless, milliseconds left) {
  const std::string& key = call->keys.entry;
  if (refreshing_.contains(key)) return;
  if (const auto failed = failed_.find(key); failed != failed_.end()) {
    if (std::chrono::steady_clock::now() < failed->second) return;
    failed_.erase(failed);
  }
  spawn(refresh(call, std::move(useless), left));
}

// Nobody waits for its fill, so no deadline and no client that leaves ends one that hangs.
Task<void> CacheService::refresh(std::shared_ptr<CacheCall> call, std::string useless, milliseconds left) {
  const Refreshing marked(refreshing_, call->keys.entry);
  FillClaim claim(client_, call->keys, name_claim());
  std::exception_ptr error;
  try {
    const FillClaim::Answer taken = co_await claim.take(std::move(useless));
    if (taken.kind != FillClaim::Answer::Kind::taken) co_return;  // another worker does it, or has done it
    Task<CacheAnswer> filling = fill(*call, &claim, nullptr);
    (void)co_await with_deadline(left + std::min(call->lifetime.ttl, kLongestLate), std::move(filling));
  } catch (...) {
    error = std::current_exception();
  }
  if (error) {
    if (failed_.size() >= kMostFailed) failed_.clear();
    failed_[call->keys.entry] = std::chrono::steady_clock::now() + kRefreshAgain;
    if (!std::exchange(told_refresh_failed_, true)) {
      log_warning("the cache cannot refresh a value in the background: callers get the old one while it lasts",
                  {{"key", call->keys.entry}, {"error", describe(error)}});
    }
  } else if (std::exchange(told_refresh_failed_, false)) {
    log_info("the cache refreshes values again", {{"key", call->keys.entry}});
  }
}

// ---- Redis

// That Redis is away is logged by its client, once.
void CacheService::redis_failed(const std::exception& error) {
  add(row_[Count::cache_unavailable]);
  if (dynamic_cast<const RedisUnavailable*>(&error) != nullptr) return;
  refused_ = std::chrono::steady_clock::now();
  if (std::exchange(told_refused_, true)) return;
  log_error("Redis refuses the commands of the cache: values are computed without it", {{"error", error.what()}});
}

// It may serve one command and refuse another, all the time.
void CacheService::redis_served() {
  if (!told_refused_ || std::chrono::steady_clock::now() - refused_ < kServesAgainAfter) return;
  told_refused_ = false;
  log_info("Redis serves the cache again");
}

}  // namespace pronghorn::worker
