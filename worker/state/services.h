// Everything that a worker keeps in Redis.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <string>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "worker/state/limits/rate_limiter.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/sessions/session_store.h"

namespace pronghorn::worker {

// Context:   loop thread; one per worker, or per TestClient. The process ignores SIGPIPE.
// Ownership: outlives every exchange that names it. Redis(*state.redis) makes the application's handle.
struct StateServices {
  // Does not connect yet. Writes the row's redis_* values. Throws std::invalid_argument when the address of Redis is
  // malformed.
  StateServices(uv_loop_t* loop, const Config& config, WorkerRow& row);
  StateServices(const StateServices&) = delete;
  StateServices& operator=(const StateServices&) = delete;

  // Begins to connect; does nothing with --redis none. `on_fatal` gets one line when the configuration is wrong (user,
  // password, database): the worker cannot start, exit status 3. Called once at most, from the loop; it may call
  // close().
  void start(std::function<void(std::string)> on_fatal);

  // Fails what still waits for Redis, resumes it, and lets go of the loop: after the loop has turned it can be closed.
  // Called by the destructor too.
  void close();

  // Whether Redis can be used now, for writing too. Always with --redis none: nothing is missing then.
  [[nodiscard]] bool redis_up() const noexcept { return redis == nullptr || (redis->up() && !redis->refuses_writes()); }

  std::unique_ptr<RedisClient> redis;  // null with --redis none
  SessionStore sessions;
  RateLimiter limiter;
};

}  // namespace pronghorn::worker
