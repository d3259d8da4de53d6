// Leads the commands of a worker to the nodes of a Redis Cluster.
//
// The router knows which node serves which slots (SlotMap), and keeps one pipelined connection per node, made when the
// first command needs it. A command goes to the node of its keys, one without keys to any node. Nodes that know better
// redirect it: MOVED corrects the map, ASK leads one command to a node that is taking the slot over, and TRYAGAIN means
// that some of its keys are still on their way. Redirections are followed at most kMaxRedirects times, inside the
// command's deadline.
//
// The map is fetched again after a MOVED and while a node that serves slots cannot be reached: by one question at a time,
// and paced (RefreshPacer). Commands for a node that cannot be reached fail at once, so that a lost primary holds nobody
// up until the cluster has decided on another.
#pragma once

#include <uv.h>

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/redis_url.h"
#include "common/ipc/scoreboard.h"
#include "common/uv_ptr.h"
#include "pronghorn/task.h"
#include "worker/state/redis/cluster/refresh_pacer.h"
#include "worker/state/redis/node/call_router.h"
#include "worker/state/redis/node/redis_node.h"
#include "worker/state/redis/slots/routed_commands.h"
#include "worker/state/redis/slots/slot_map.h"

namespace pronghorn::worker {

// Context: loop thread. Must not be destroyed from within a coroutine that it resumes.
// Errors:  nothing throws except the constructor; a RedisCall reports what went wrong.
class ClusterRouter final : public CallRouter, private RedisNode::Owner {
 public:
  static constexpr std::uint32_t kMaxRedirects = 16;
  static constexpr std::size_t kMaxNodes = 1'024;

  // A node as /status shows it.
  struct NodeView {
    const RedisNode* node;
    bool is_replica;
  };

  // `trial_key` is the beginning of the keys of trial writes. `changed` is called when state() or the nodes may have
  // changed.
  ClusterRouter(uv_loop_t* loop, RedisUrl url, LinkSettings settings, std::string trial_key, CounterArray& counters,
                CallSchedule& schedule, std::function<void()> changed);
  ClusterRouter(const ClusterRouter&) = delete;
  ClusterRouter& operator=(const ClusterRouter&) = delete;
  ~ClusterRouter();

  // See RedisNode.
  void start(std::function<void(std::string)> on_fatal);
  void close();
  void post(std::span<const std::string_view> words);

  // CallRouter
  void issue(RedisCall& call, std::span<const std::string_view> words) override;
  void forget(RedisCall& call) noexcept override;
  [[nodiscard]] CallSchedule& schedule() const noexcept override { return schedule_; }

  // `up` if at least one primary serves reads and writes, or if none was needed yet. reason(): what is wrong, although
  // it may be up.
  [[nodiscard]] RedisState state() const;
  [[nodiscard]] std::string reason() const;
  [[nodiscard]] bool up() const;
  // Whether the node of this key refuses writes.
  [[nodiscard]] bool refuses_writes(std::string_view key) const;
  [[nodiscard]] std::vector<NodeView> nodes() const;

  // The connection to the primary that serves this key; null if none is known or was needed yet. Good until the loop
  // turns.
  [[nodiscard]] RedisNode* primary_for(std::string_view key) const noexcept;
  // The connections to the primaries of the map, as far as they were needed.
  [[nodiscard]] std::vector<const RedisNode*> primaries() const;
  // Another number after each change of the map.
  [[nodiscard]] std::uint64_t map_version() const noexcept { return map_version_; }

  // A node has said that a slot has moved.
  void moved(const Redirect& redirect);
  [[nodiscard]] RedisTarget target_of(const RedisHost& host, bool is_replica) const;
  // Whether this is a node of the map, a primary or a replica.
  [[nodiscard]] bool is_member(const RedisHost& host) const;
  // The node that serves this key, or any node for an empty one.
  [[nodiscard]] std::expected<RedisTarget, std::string> target_for(std::string_view key);

 private:
  struct Node {
    RedisHost host;
    bool is_replica = false;
    bool is_retired = false;  // it ends when its last reply has come
    std::unique_ptr<RedisNode> link;
  };
  struct ShardNodes {
    Node* primary = nullptr;  // null: not needed yet
    Node* replica = nullptr;
  };
  struct Parked {
    RedisCall* call;
    std::size_t unit;
  };
  // When it is due (UINT64_MAX: when the first map is there), and RoutedUnit::sequence.
  using ParkedAt = std::pair<std::uint64_t, std::uint64_t>;

  // RedisNode::Owner
  void node_changed(RedisNode& node) override;
  void node_replied(RedisNode& node, RedisCall& call, std::uint32_t index, Reply&& reply) override;

  [[nodiscard]] static std::uint64_t now_ms() noexcept { return uv_hrtime() / 1'000'000; }

  // Commands (cluster_router.cpp).
  [[nodiscard]] bool begin(RedisCall& call);
  void place(RedisCall& call, std::size_t unit, std::uint64_t now_ns);
  void send_to(Node& node, RedisCall& call, std::size_t unit, std::uint64_t now_ns, bool asking = false);
  void follow(RedisNode& from, RedisCall& call, std::size_t unit);
  void park(RedisCall& call, std::size_t unit, std::uint64_t due_ms);
  void finish(RedisCall& call, std::size_t unit);
  void fail(RedisCall& call, std::string_view why);
  void unpark(std::uint64_t now, bool all);

  // Nodes (cluster_nodes.cpp).
  Node* node_at(const RedisHost& host, bool is_replica);
  [[nodiscard]] Node* find_node(const RedisHost& host, bool is_replica) const;
  Node* primary_of(std::uint16_t shard);
  Node* replica_of(std::uint16_t shard);
  Node* any_primary();
  [[nodiscard]] std::string trial_key_of(const RedisHost& host) const;
  void retire_unused();
  void bury();

  // The map (cluster_nodes.cpp).
  void want_refresh();
  void begin_refresh();
  [[nodiscard]] Task<void> refresh(bool is_wanted);
  [[nodiscard]] std::vector<RedisHost> whom_to_ask(bool is_wanted);
  void install(SlotMap map);
  void refresh_failed(const std::string& why);
  void end_refresh(bool is_new);
  void tell_change(const SlotMap& map) const;
  [[nodiscard]] bool is_healthy() const;
  void arm();
  void on_time();

  uv_loop_t* loop_;
  RedisUrl url_;
  LinkSettings settings_;
  std::string trial_key_;
  CounterArray& counters_;
  CallSchedule& schedule_;
  std::function<void()> changed_;
  std::function<void(std::string)> on_fatal_;
  std::uint64_t timeout_ns_;

  bool closed_ = false;
  bool has_map_ = false;
  std::string map_error_;  // why the last refresh failed; empty: it did not
  bool told_map_error_ = false;
  RedisHost last_told_;  // the node whose map was taken last
  SlotMap map_;
  std::uint64_t map_version_ = 0;
  std::vector<ShardNodes> shards_;  // as map_.shards
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Node>> dead_;  // closed; destroyed in a later turn of the loop
  std::map<ParkedAt, Parked> parked_;
  std::uint64_t last_parked_ = 0;
  std::size_t last_any_ = 0;

  RefreshPacer pacer_;
  unsigned jitter_ = 0;
  Task<void> refreshing_;
  bool is_refreshing_ = false;
  std::minstd_rand random_;
  UvPtr<uv_timer_t> timer_;
};

}  // namespace pronghorn::worker
