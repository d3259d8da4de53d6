#include "worker/state/cache/local/local_cache.h"

#include <utility>

#include "common/log.h"
#include "pronghorn/concurrent.h"
#include "worker/runtime/runtime.h"
#include "worker/state/redis/node/redis_call.h"

namespace pronghorn::worker {
namespace {

constexpr std::string_view kChannel = "__redis__:invalidate";
constexpr std::uint64_t kAgainMs = 60'000;  // after a refusal: somebody may have changed the user's permissions

}  // namespace

LocalCache::LocalCache(RedisClient& client, Subscriber& subscriber, std::size_t max_bytes)
    : client_(client), subscriber_(subscriber), copies_(max_bytes) {}

std::uint64_t LocalCache::now_ms() { return uv_now(Runtime::current().loop()); }

const LocalCopies::Slot* LocalCache::find(std::string_view name) {
  return tracking() ? copies_.find(name, now_ms()) : nullptr;
}

bool LocalCache::ready() {
  if (tracking()) return true;
  if (copies_.slots() > 0) copies_.clear();
  if (!subscription_) subscription_.emplace(subscriber_.subscribe(kChannel, *this));
  if (switching_on_ || !client_.up() || now_ms() < again_ms_) return false;
  if (client_.connection() == 0) {
    refused("it is a cluster");
  } else if (subscription_->active() && subscriber_.client_id() != 0) {
    switching_on_ = true;
    spawn(switch_on());
  }
  return false;
}

Task<void> LocalCache::switch_on() {
  const std::uint64_t connection = client_.connection();
  const std::int64_t told_to = subscriber_.client_id();
  const std::string id = std::to_string(told_to);
  RedisCall call(client_);
  call.send({"CLIENT", "TRACKING", "ON", "REDIRECT", id, "OPTIN"});
  bool answered = false;
  try {
    co_await call;
    answered = true;
  } catch (const RedisUnavailable&) {  // logged by the Redis client
  }
  switching_on_ = false;
  if (!answered) co_return;
  if (call.reply().is_error()) {
    refused(call.reply().error());
  } else {
    tracked_ = connection;
    told_to_ = told_to;
    if (std::exchange(told_refused_, false)) log_info("the cache keeps local copies again");
  }
}

void LocalCache::refused(std::string_view why) {
  again_ms_ = now_ms() + kAgainMs;
  if (std::exchange(told_refused_, true)) return;
  log_warning("the cache keeps no local copies: Redis does not tell of changes (CLIENT TRACKING)", {{"reason", why}});
}

// An array of keys; nil after a FLUSHALL.
void LocalCache::message(std::string_view, const Reply& payload) {
  if (!payload.is_array()) return copies_.clear();
  for (const Reply& key : payload.array()) {
    if (key.is_string()) copies_.changed(key.string());
  }
}

void LocalCache::interrupted(std::string_view) { copies_.clear(); }

}  // namespace pronghorn::worker
