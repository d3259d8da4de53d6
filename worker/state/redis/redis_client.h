// The worker's Redis, whatever its form: what every feature that keeps state in Redis uses.
#pragma once

#include <uv.h>

#include <chrono>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/config/redis_url.h"
#include "common/ipc/scoreboard.h"
#include "worker/state/redis/cluster/cluster_router.h"
#include "worker/state/redis/health/redis_status.h"
#include "worker/state/redis/node/call_schedule.h"
#include "worker/state/redis/node/redis_call.h"
#include "worker/state/redis/node/redis_node.h"
#include "worker/state/redis/own_connections.h"
#include "worker/state/redis/sentinel/primary_finder.h"
#include "worker/state/redis/sentinel/replica_reader.h"

namespace pronghorn::detail {
// What the public headers know of worker::RedisClient.
class RedisClient {
 protected:
  ~RedisClient() = default;
};
}  // namespace pronghorn::detail

namespace pronghorn::worker {

// One server (redis://, unix:), the primary that sentinels name (redis+sentinel://), or the nodes of a cluster
// (redis+cluster://).
//
// Context: loop thread; one per worker. Must not be destroyed from within a coroutine that it resumes.
// Errors:  nothing throws except the constructor; a RedisCall reports what went wrong.
class RedisClient final : public pronghorn::detail::RedisClient, private RedisNode::Owner {
 public:
  // `settings.timeout` is the deadline of each command and of each attempt to connect. `trial_key` is the key of trial
  // writes, in a cluster the beginning of their keys. Writes the row's redis_* values.
  RedisClient(uv_loop_t* loop, RedisUrl url, LinkSettings settings, std::string trial_key, WorkerRow& row);
  RedisClient(const RedisClient&) = delete;
  RedisClient& operator=(const RedisClient&) = delete;
  ~RedisClient();

  // Begins to connect. Until the first connection is up, commands wait for it, for `timeout` at most; later they fail
  // at once while there is no connection. `on_fatal`: see RedisLink::start().
  void start(std::function<void(std::string)> on_fatal);

  // Fails the commands in flight, resumes their callers, and closes all handles. Commands issued later fail. Calling it
  // again does nothing. Must not be called from within a coroutine that waits for Redis.
  void close();

  // Sends one command whose reply nobody waits for. Does nothing if it cannot be queued.
  void post(std::span<const std::string_view> words);

  // Whether a connection is up and logged in. Of a cluster: whether a primary can be reached.
  [[nodiscard]] bool up() const noexcept;
  // Whether Redis refuses writes; it may still answer reads. In a cluster, of the node that serves `key`; without a key,
  // whether all primaries refuse them.
  [[nodiscard]] bool refuses_writes(std::string_view key = {}) const noexcept;

  // Whether reads and writes are served now, as far as is known: with a connection, without refusals, and with answers in
  // time. Of a cluster: by one primary at least.
  [[nodiscard]] bool serves() const noexcept;
  // The connection to the server that serves `key`; null if none is known or was needed yet. Good until the loop turns.
  [[nodiscard]] RedisNode* node_for_key(std::string_view key) const noexcept;
  // The connections to all servers that take writes, as far as they were needed.
  [[nodiscard]] std::vector<const RedisNode*> primaries() const;
  // Another number whenever slots may have moved to another server; the same for ever without a cluster.
  [[nodiscard]] std::uint64_t map_version() const noexcept { return router_ ? router_->map_version() : 0; }
  // Has `changed` called after each change of a connection or of the map, before a coroutine is resumed. One only;
  // nullptr ends that.
  void on_change(std::function<void()> changed) { changed_ = std::move(changed); }
  // Whether the keys of one command must be in one slot.
  [[nodiscard]] bool is_cluster() const noexcept { return router_ != nullptr; }
  // Whether reads that may be stale can go elsewhere than writes: in a cluster, and with sentinels.
  [[nodiscard]] bool has_replicas() const noexcept { return router_ != nullptr || finder_ != nullptr; }
  // The deadline of each command.
  [[nodiscard]] std::chrono::milliseconds timeout() const noexcept { return settings_.timeout; }

  // Where a connection of its own must go, such as one that subscribes or blocks: to the node that serves `key` now, or
  // to any node if `key` is empty. An error says why nobody knows it yet. For the TargetSource of a RedisLink, which asks
  // before each attempt to connect.
  [[nodiscard]] std::expected<RedisTarget, std::string> target_for(std::string_view key) const;
  // The same for the node to which a command was redirected. MOVED is remembered. Only in a cluster.
  [[nodiscard]] RedisTarget redirected_target(const Redirect& redirect);
  // Whether `target`, which target_for() has returned, is a node that is in the cluster no longer: it may go on to
  // answer.
  [[nodiscard]] bool has_left(const RedisTarget& target) const;
  // For commands that wait in Redis, to what target_for() says.
  [[nodiscard]] OwnConnections& own_connections() noexcept { return own_connections_; }
  // The settings for such a link. `purpose` becomes a part of its name: "shop:3:events".
  [[nodiscard]] LinkSettings link_settings(std::string_view purpose) const;

 private:
  friend class RedisCall;

  // RedisNode::Owner, without a cluster
  void node_changed(RedisNode& node) override;
  void node_replied(RedisNode&, RedisCall&, std::uint32_t, Reply&&) override {}

  // Where a call goes; null in a cluster.
  [[nodiscard]] RedisNode* node_for(const CallOptions& options);
  void primary_found(bool is_new);
  [[nodiscard]] std::expected<RedisTarget, std::string> own_target() const;
  void report();

  uv_loop_t* loop_;
  RedisUrl url_;
  LinkSettings settings_;
  std::string trial_key_;
  RedisStatus status_;
  CounterArray& counters_;
  CallSchedule schedule_;
  OwnConnections own_connections_;
  std::function<void()> changed_;
  bool closed_ = false;
  std::unique_ptr<PrimaryFinder> finder_;   // with sentinels
  std::unique_ptr<ReplicaReader> replica_;  // with sentinels, once a read may be stale
  std::unique_ptr<RedisNode> node_;         // null in a cluster
  std::unique_ptr<ClusterRouter> router_;   // null unless in a cluster
};

}  // namespace pronghorn::worker
