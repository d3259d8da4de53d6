// Connections for commands that wait in Redis, such as BLPOP: one for each command while it waits.
#pragma once

#include <uv.h>

#include <chrono>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "common/uv_ptr.h"
#include "pronghorn/redis.h"
#include "worker/state/redis/link/redis_target.h"
#include "worker/state/redis/node/redis_node.h"

namespace pronghorn::worker {

class CallSchedule;

// How long the command itself asks Redis to wait; max(): without end. nullopt: it does not wait.
[[nodiscard]] std::optional<std::chrono::milliseconds> waiting_time(const Command& command);
// The same command, with another time; only of one that waits.
[[nodiscard]] Command with_waiting_time(const Command& command, std::chrono::milliseconds time);

// A connection that was used is kept for the next command, if it is still up and all its replies have come.
//
// Context:   loop thread; one per RedisClient. To be destroyed as a RedisNode.
// Ownership: outlives its leases.
class OwnConnections final : private RedisNode::Owner {
 public:
  static constexpr std::size_t kMaxIdle = 8;

  // The use of one connection, for a coroutine that sends one command on it.
  class Lease {
   public:
    Lease(OwnConnections& owner, std::unique_ptr<RedisNode> node) noexcept : owner_(owner), node_(std::move(node)) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { owner_.give_back(std::move(node_)); }
    [[nodiscard]] RedisNode& node() const noexcept { return *node_; }

   private:
    OwnConnections& owner_;
    std::unique_ptr<RedisNode> node_;
  };

  // `settings.timeout` limits each attempt to connect.
  OwnConnections(uv_loop_t* loop, LinkSettings settings, CounterArray& counters, CallSchedule& schedule);
  OwnConnections(const OwnConnections&) = delete;
  OwnConnections& operator=(const OwnConnections&) = delete;

  // A connection to `target`, which may not be up yet. Commands on it have no deadline but that of their call.
  [[nodiscard]] Lease take(const RedisTarget& target);
  // Fails the commands in flight, and closes all connections.
  void close();

 private:
  void node_changed(RedisNode& node) override;
  void node_replied(RedisNode&, RedisCall&, std::uint32_t, Reply&&) override {}  // only for clusters

  void give_back(std::unique_ptr<RedisNode> node);
  void end(std::unique_ptr<RedisNode> node);
  [[nodiscard]] Lease lease(std::unique_ptr<RedisNode> node);

  uv_loop_t* loop_;
  LinkSettings settings_;
  CounterArray& counters_;
  CallSchedule& schedule_;
  bool closed_ = false;
  std::vector<RedisNode*> leased_;
  std::vector<std::unique_ptr<RedisNode>> idle_;
  std::vector<std::unique_ptr<RedisNode>> ended_;  // destroyed in a later turn of the loop
  UvPtr<uv_timer_t> timer_;
};

}  // namespace pronghorn::worker
