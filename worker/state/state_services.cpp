#include "worker/state/state_services.h"

#include <stdexcept>
#include <utility>

#include "common/config/redis_url.h"
#include "worker/state/keys/key.h"

namespace pronghorn::worker {
namespace {

// The supervisor has found the files good. An application under test has none.
std::shared_ptr<const TlsClientContext> make_tls(const Config& config) {
  auto context = TlsClientContext::make({config.redis_ca_pem, config.redis_certificate_pem, config.redis_key_pem});
  if (!context) throw std::runtime_error("TLS to Redis: " + context.error().why);
  return std::move(*context);
}

std::unique_ptr<RedisClient> make_client(uv_loop_t* loop, const Config& config, WorkerRow& row, unsigned slot) {
  const std::string address = redis_address(config);
  if (address == "none") {
    row.redis_state.store(RedisState::off, std::memory_order_relaxed);
    return nullptr;
  }
  const std::string prefix = key_prefix(config.name);
  LinkSettings settings{config.redis_timeout, prefix + ":" + std::to_string(slot)};
  RedisUrl url = parse_redis_url(address);
  if (url.is_tls) settings.tls = make_tls(config);
  settings.tls_name = config.redis_tls_name;
  return std::make_unique<RedisClient>(loop, std::move(url), std::move(settings), prefix + ":trial", row);
}

std::unique_ptr<Subscriber> make_subscriber(uv_loop_t* loop, const RedisClient& client) {
  auto any_node = [&client] { return client.target_for({}); };
  auto has_left = [&client](const RedisTarget& target) { return client.has_left(target); };
  return std::make_unique<Subscriber>(loop, std::move(any_node), client.link_settings("events"),
                                      Subscriber::kPingInterval, std::move(has_left));
}

std::unique_ptr<Subscriber> make_topics(uv_loop_t* loop, Relay& relay, RedisClient& client, const Config& config,
                                        RelayLink*& link) {
  const Subscriber::LinkMaker make = [&](MessageLink::Listener& listener) -> std::unique_ptr<MessageLink> {
    auto made = std::make_unique<RelayLink>(loop, relay, client, key_prefix(config.name) + ":r:", listener);
    link = made.get();
    return made;
  };
  return std::make_unique<Subscriber>(make);
}

}  // namespace

StateServices::StateServices(uv_loop_t* loop, const Config& config, WorkerRow& row, unsigned slot, Machine machine)
    : redis(make_client(loop, config, row, slot)),
      subscriber(redis ? make_subscriber(loop, *redis) : nullptr),
      relay(redis && machine.has_relay ? std::make_unique<Relay>(loop, *subscriber, row) : nullptr),
      topics(relay ? make_topics(loop, *relay, *redis, config, relay_link) : nullptr),
      events(redis.get(), subscriber.get(), topics ? topics.get() : subscriber.get(), config, row),
      presence(redis.get(), subscriber.get(), config),
      sessions(redis.get(), config),
      limiter(redis.get(), config, row, machine.leases),
      idempotency(redis.get(), sessions, config),
      tokens(redis.get(), config, row),
      cache(redis ? std::make_unique<CacheService>(*redis, *subscriber, config, row) : nullptr),
      cached_responses(cache.get(), config),
      jobs(redis.get(), subscriber.get(), config, row) {}

void StateServices::start(std::function<void(std::string)> on_fatal) {
  if (redis) redis->start(std::move(on_fatal));
}

void StateServices::close() {
  jobs.close();
  presence.close();
  if (cache) cache->close();
  if (topics) topics->close();
  if (relay) relay->close();
  if (subscriber) subscriber->close();
  if (redis) redis->close();
}

}  // namespace pronghorn::worker
