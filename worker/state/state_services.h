// The services of a worker that keep their state in Redis.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <string>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "worker/state/cache/cache_service.h"
#include "worker/state/cached_responses/cached_responses.h"
#include "worker/state/events/event_service.h"
#include "worker/state/idempotency/idempotency.h"
#include "worker/state/jobs/job_service.h"
#include "worker/state/limits/rate_limiter.h"
#include "worker/state/presence/presence_service.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/subscriptions/subscriber.h"
#include "worker/state/relay/relay.h"
#include "worker/state/relay/relay_link.h"
#include "worker/state/sessions/session_store.h"
#include "worker/state/tokens/token_store.h"

namespace pronghorn::detail {
// What the public headers know of worker::StateServices.
class Services {
 protected:
  ~Services() = default;
};
}  // namespace pronghorn::detail

namespace pronghorn::worker {

// Context:   loop thread; one per worker, or per TestClient. The process ignores SIGPIPE.
// Ownership: must outlive every exchange that refers to it. Redis(*state.redis) is the application's handle.
struct StateServices final : pronghorn::detail::Services {
  // What the workers of one machine share.
  struct Machine {
    LeaseTable* leases = nullptr;  // of rate limits; null: one of its own
    bool has_relay = false;        // topics are read through `relay_link`, once it has been told what to follow
  };
  // Does not connect yet. `slot` is the worker's: Redis shows it in CLIENT LIST. Throws std::invalid_argument if the
  // address of Redis is malformed, std::runtime_error if the certificates of rediss:// cannot be used.
  StateServices(uv_loop_t* loop, const Config& config, WorkerRow& row, unsigned slot, Machine machine);
  // A worker that shares nothing.
  StateServices(uv_loop_t* loop, const Config& config, WorkerRow& row)
      : StateServices(loop, config, row, 0, Machine()) {}
  StateServices(const StateServices&) = delete;
  StateServices& operator=(const StateServices&) = delete;

  // Begins to connect; does nothing with --redis none. `on_fatal` is called at most once, from the loop, with one line
  // if Redis rejects the configuration (user, password, database): the worker must exit with status 3. It may call
  // close().
  void start(std::function<void(std::string)> on_fatal);

  // Fails the commands in flight, resumes their callers, and closes all handles; the loop must turn once more to free
  // them. The destructor calls it too.
  void close();

  // Whether Redis serves reads and writes now. True with --redis none.
  [[nodiscard]] bool redis_up() const noexcept { return redis == nullptr || redis->serves(); }

  std::unique_ptr<RedisClient> redis;      // null with --redis none
  std::unique_ptr<Subscriber> subscriber;  // the same
  std::unique_ptr<Relay> relay;            // null if the machine has none
  RelayLink* relay_link = nullptr;         // the same; of `topics`
  std::unique_ptr<Subscriber> topics;      // the same
  EventService events;
  PresenceService presence;
  SessionStore sessions;
  RateLimiter limiter;
  Idempotency idempotency;
  TokenStore tokens;
  std::unique_ptr<CacheService> cache;  // null with --redis none
  CachedResponses cached_responses;
  JobService jobs;
};

}  // namespace pronghorn::worker
