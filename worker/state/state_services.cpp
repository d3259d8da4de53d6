#include "worker/state/state_services.h"

#include <utility>

#include "common/config/redis_url.h"
#include "worker/state/keys/key.h"

namespace pronghorn::worker {
namespace {

std::unique_ptr<RedisClient> make_client(uv_loop_t* loop, const Config& config, WorkerRow& row, unsigned slot) {
  const std::string address = redis_address(config);
  if (address == "none") {
    row.redis_state.store(RedisState::off, std::memory_order_relaxed);
    return nullptr;
  }
  const std::string prefix = key_prefix(config.name);
  LinkSettings settings{config.redis_timeout, prefix + ":" + std::to_string(slot)};
  return std::make_unique<RedisClient>(loop, parse_redis_url(address), std::move(settings), prefix + ":trial", row);
}

std::unique_ptr<Subscriber> make_subscriber(uv_loop_t* loop, const RedisClient& client) {
  auto any_node = [&client] { return client.target_for({}); };
  return std::make_unique<Subscriber>(loop, std::move(any_node), client.link_settings("events"));
}

}  // namespace

StateServices::StateServices(uv_loop_t* loop, const Config& config, WorkerRow& row, unsigned slot, LeaseTable* leases)
    : redis(make_client(loop, config, row, slot)),
      subscriber(redis ? make_subscriber(loop, *redis) : nullptr),
      events(redis.get(), subscriber.get(), config, row),
      sessions(redis.get(), config),
      limiter(redis.get(), config, row, leases),
      idempotency(redis.get(), sessions, config),
      tokens(redis.get(), config),
      cache(redis ? std::make_unique<CacheService>(*redis, *subscriber, config, row) : nullptr),
      cached_responses(cache.get(), config),
      jobs(redis.get(), subscriber.get(), config, row) {}

void StateServices::start(std::function<void(std::string)> on_fatal) {
  if (redis) redis->start(std::move(on_fatal));
}

void StateServices::close() {
  jobs.close();
  if (subscriber) subscriber->close();
  if (redis) redis->close();
}

}  // namespace pronghorn::worker
