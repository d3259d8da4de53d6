// The replica to which a worker sends reads that may be stale, of those that sentinels name.
#pragma once

#include <uv.h>

#include <expected>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "common/config/redis_url.h"
#include "common/ipc/scoreboard.h"
#include "worker/state/redis/node/redis_node.h"

namespace pronghorn::worker {

class CallSchedule;

// Each worker keeps to one replica, chosen at random, so that the workers of a server use all of them. It chooses
// another one when sentinels no longer name the first, or when that one does not serve and there is another.
//
// Context: loop thread; one per RedisClient, made with the first read that may be stale. To be destroyed as a RedisNode.
class ReplicaReader final : private RedisNode::Owner {
 public:
  // `url` has user, password and database. `changed` is called when node() may look different in /status.
  ReplicaReader(uv_loop_t* loop, RedisUrl url, const LinkSettings& settings, CounterArray& counters,
                CallSchedule& schedule, std::function<void()> changed);

  // Fails the commands in flight, and closes all handles.
  void close() { node_.close(); }
  // The replicas that serve, in the eyes of a sentinel. Connects to one of them.
  void named(const std::vector<RedisHost>& replicas);

  // The connection to the chosen replica; null if commands cannot be sent to it now.
  [[nodiscard]] RedisNode* usable();
  [[nodiscard]] bool is_chosen() const noexcept { return chosen_.has_value(); }
  [[nodiscard]] const RedisNode& node() const noexcept { return node_; }

 private:
  void node_changed(RedisNode&) override { changed_(); }
  void node_replied(RedisNode&, RedisCall&, std::uint32_t, Reply&&) override {}  // only for clusters

  [[nodiscard]] std::expected<RedisTarget, std::string> target() const;

  RedisUrl url_;
  std::function<void()> changed_;
  std::optional<RedisHost> chosen_;  // nullopt: none is named
  bool started_ = false;
  std::minstd_rand random_;
  RedisNode node_;
};

}  // namespace pronghorn::worker
