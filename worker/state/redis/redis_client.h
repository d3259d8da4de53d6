// The worker's Redis, whatever its form: what every feature that keeps state in Redis uses.
#pragma once

#include <uv.h>

#include <expected>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "common/config/redis_url.h"
#include "common/ipc/scoreboard.h"
#include "worker/state/redis/redis_call.h"
#include "worker/state/redis/redis_node.h"

namespace pronghorn::detail {
// What the public headers know of worker::RedisClient.
class RedisClient {
 protected:
  ~RedisClient() = default;
};
}  // namespace pronghorn::detail

namespace pronghorn::worker {

// Context: loop thread; one per worker. Must not be destroyed from within a coroutine that it resumes.
// Errors:  nothing throws except the constructor; a RedisCall reports what went wrong.
class RedisClient final : public pronghorn::detail::RedisClient {
 public:
  static constexpr std::size_t kMaxCommand = RedisNode::kMaxCommand;

  // `settings.timeout` is the deadline of each command and of each attempt to connect. `trial_key` is the key of trial
  // writes. Writes the row's redis_* values.
  RedisClient(uv_loop_t* loop, RedisUrl url, LinkSettings settings, std::string trial_key, WorkerRow& row);
  RedisClient(const RedisClient&) = delete;
  RedisClient& operator=(const RedisClient&) = delete;

  // Begins to connect. Until the first connection is up, commands wait for it, for `timeout` at most; later they fail
  // at once while there is no connection. `on_fatal`: see RedisLink::start().
  void start(std::function<void(std::string)> on_fatal) { node_.start(std::move(on_fatal)); }

  // Fails the commands in flight, resumes their callers, and closes all handles. Commands issued later fail. Calling it
  // again does nothing. Must not be called from within a coroutine that waits for Redis.
  void close() { node_.close(); }

  // Sends one command whose reply nobody waits for. Does nothing if it cannot be queued.
  void post(std::span<const std::string_view> words) { node_.post(words); }

  // Whether a connection is up and logged in.
  [[nodiscard]] bool up() const noexcept { return node_.up(); }
  // Whether Redis refuses writes; it may still answer reads.
  [[nodiscard]] bool refuses_writes() const noexcept { return node_.refuses_writes(); }
  [[nodiscard]] const std::string& address() const noexcept { return node_.address(); }

  // Where a connection of its own must go, such as one that subscribes or blocks: to the node that serves `key` now, or
  // to any node if `key` is empty. An error says why nobody knows it yet. For the TargetSource of a RedisLink, which asks
  // before each attempt to connect.
  [[nodiscard]] std::expected<RedisTarget, std::string> target_for(std::string_view key) const;
  // The settings for such a link. `purpose` becomes a part of its name: "shop:3:events".
  [[nodiscard]] LinkSettings link_settings(std::string_view purpose) const;

 private:
  friend class RedisCall;

  RedisUrl url_;
  LinkSettings settings_;
  RedisNode node_;
};

}  // namespace pronghorn::worker
