// Which nodes there are, and what is known of them: see cluster_router.h.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "common/log.h"
#include "worker/state/redis/cluster/cluster_router.h"
#include "worker/state/redis/node/call_schedule.h"
#include "worker/state/redis/node/redis_call.h"
#include "worker/state/redis/protocol/reply_errors.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMaxAsked = 8;  // nodes that one refresh asks
constexpr std::uint64_t kBuryEveryMs = 500;

std::size_t served_slots(const SlotMap& map) {
  return kSlots - static_cast<std::size_t>(std::ranges::count(map.shard_of, SlotMap::kUnserved));
}

}  // namespace

// ---- nodes

ClusterRouter::Node* ClusterRouter::find_node(const RedisHost& host, bool is_replica) const {
  const auto found = std::ranges::find_if(
      nodes_, [&](const auto& node) { return node->is_replica == is_replica && node->host == host; });
  return found == nodes_.end() ? nullptr : found->get();
}

ClusterRouter::Node* ClusterRouter::node_at(const RedisHost& host, bool is_replica) {
  if (Node* known = find_node(host, is_replica)) {
    known->is_retired = false;
    return known;
  }
  if (nodes_.size() >= kMaxNodes) return nullptr;
  auto source = [this, host, is_replica]() -> std::expected<RedisTarget, std::string> {
    RedisTarget target = target_of(host, is_replica);
    if (!is_replica) target.trial_key = trial_key_of(host);
    return target;
  };
  auto node = std::make_unique<Node>();
  node->host = host;
  node->is_replica = is_replica;
  node->link = std::make_unique<RedisNode>(loop_, std::move(source), settings_, counters_, schedule_,
                                           static_cast<RedisNode::Owner&>(*this));
  Node& added = *nodes_.emplace_back(std::move(node));
  // What the first node rejects is the configuration. What another rejects, is its own: it may be repaired.
  std::function<void(std::string)> on_fatal;
  if (!has_map_ && on_fatal_) {
    on_fatal = [this](std::string why) {
      if (on_fatal_) std::exchange(on_fatal_, nullptr)(std::move(why));
    };
  }
  added.link->start(std::move(on_fatal));
  changed_();
  return &added;
}

ClusterRouter::Node* ClusterRouter::primary_of(std::uint16_t shard) {
  Node*& node = shards_[shard].primary;
  if (node == nullptr) node = node_at(map_.shards[shard].primary, false);
  return node;
}

ClusterRouter::Node* ClusterRouter::replica_of(std::uint16_t shard) {
  Node*& node = shards_[shard].replica;
  const std::vector<RedisHost>& replicas = map_.shards[shard].replicas;
  if (node == nullptr && !replicas.empty()) node = node_at(replicas[random_() % replicas.size()], true);
  return node;
}

// One that is up if there is one: else one that was not tried yet.
ClusterRouter::Node* ClusterRouter::any_primary() {
  const std::size_t count = shards_.size();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t shard = (last_any_ + i) % count;
    const Node* node = shards_[shard].primary;
    if (node == nullptr || !node->link->up() || node->link->circuit() != Circuit::closed) continue;
    last_any_ = shard;
    return shards_[shard].primary;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t shard = (last_any_ + i) % count;
    if (shards_[shard].primary == nullptr || shards_[shard].primary->link->obstacle(0).empty()) last_any_ = shard;
  }
  return primary_of(static_cast<std::uint16_t>(last_any_ % count));
}

RedisTarget ClusterRouter::target_of(const RedisHost& host, bool is_replica) const {
  RedisTarget target;
  target.url.host = host.host;
  target.url.port = host.port;
  target.url.user = url_.user;
  target.url.password = url_.password;
  target.kind = is_replica ? RedisTarget::Kind::replica : RedisTarget::Kind::cluster;
  const auto name = map_.names.find({host.host, host.port});
  if (name != map_.names.end()) target.tls_name = name->second;
  return target;
}

// A key in one of the node's slots; empty if it serves none. Of a node with few slots it takes a while to find one.
std::string ClusterRouter::trial_key_of(const RedisHost& host) const {
  constexpr int kMaxTries = 65'536;
  const auto shard = std::ranges::find(map_.shards, host, &Shard::primary);
  if (shard == map_.shards.end()) return {};
  const auto index = static_cast<std::uint16_t>(shard - map_.shards.begin());
  for (int i = 0; i < kMaxTries; ++i) {
    const std::string tag = std::to_string(i);
    if (map_.shard_of[key_slot(tag)] == index) return fmt::format("{}:{{{}}}", trial_key_, tag);
  }
  return {};
}

void ClusterRouter::retire_unused() {
  for (const auto& node : nodes_) {
    const bool is_used = std::ranges::any_of(map_.shards, [&node](const Shard& shard) {
      if (!node->is_replica) return shard.primary == node->host;
      return std::ranges::find(shard.replicas, node->host) != shard.replicas.end();
    });
    node->is_retired = !is_used;
  }
}

// Ends the retired nodes that no command waits for.
void ClusterRouter::bury() {
  for (auto& node : nodes_) {
    if (!node->is_retired || !node->link->idle()) continue;
    node->link->close();
    dead_.push_back(std::move(node));
  }
  std::erase(nodes_, nullptr);
}

void ClusterRouter::node_changed(RedisNode&) {
  if (!closed_ && !is_healthy()) want_refresh();
  changed_();
}

// ---- the map

void ClusterRouter::want_refresh() {
  pacer_.want();
  arm();
}

void ClusterRouter::begin_refresh() {
  const bool is_wanted = pacer_.wanted();
  pacer_.began(now_ms());
  jitter_ = static_cast<unsigned>(random_() % 256);
  is_refreshing_ = true;
  refreshing_ = refresh(is_wanted);
  refreshing_.start();
}

// A node may not know all of the cluster, because it has just joined or was told to forget others: when its map leaves
// out what was served until now, the others are asked, and the fullest map counts.
Task<void> ClusterRouter::refresh(bool is_wanted) {
  std::string why = "no node could be asked";
  std::optional<SlotMap> fullest;
  const std::size_t wanted = has_map_ ? served_slots(map_) : kSlots;
  const std::vector<RedisHost> hosts = whom_to_ask(is_wanted);
  for (const RedisHost& host : hosts) {
    Node* node = find_node(host, true);  // a replica knows the map, too
    if (node == nullptr || !node->link->up()) node = node_at(host, false);
    if (node == nullptr) continue;
    RedisCall call(*node->link);
    call.send({"CLUSTER", "SLOTS"});
    try {
      co_await call;
    } catch (const RedisUnavailable& error) {
      why = error.what();
      continue;
    }
    if (call.reply().is_error()) {
      why = fmt::format("{}: {}", display_host(host.host, host.port), call.reply().error());
      continue;
    }
    auto map = parse_slot_map(call.reply(), host);
    if (!map) {
      why = fmt::format("{}: {}", display_host(host.host, host.port), map.error());
      continue;
    }
    const std::size_t served = served_slots(*map);
    if (!fullest || served > served_slots(*fullest)) {
      fullest = std::move(*map);
      last_told_ = host;
    }
    if (served >= wanted) break;
  }
  if (fullest) {
    install(std::move(*fullest));
  } else {
    refresh_failed(why);
  }
}

// First those to which a connection is up, in any order, then those of the option, then those of the map. Last those
// that refuse writes: one that the others cannot reach answers CLUSTERDOWN, and names itself as the primary for ever.
// Such a one is not known if it was not sent any command; so, if nothing has gone wrong, another primary than the last
// time comes before all.
std::vector<RedisHost> ClusterRouter::whom_to_ask(bool is_wanted) {
  std::vector<RedisHost> hosts, refusing, primaries;
  for (const auto& node : nodes_) {
    if (!node->link->up() || node->link->circuit() != Circuit::closed || node->is_retired) continue;
    (node->link->refuses_writes() ? refusing : hosts).push_back(node->host);
  }
  const auto refuses = [&refusing](const RedisHost& host) {
    return std::ranges::find(refusing, host) != refusing.end();
  };
  std::ranges::shuffle(hosts, random_);
  for (const Shard& shard : map_.shards) {
    if (shard.primary != last_told_ && !refuses(shard.primary)) primaries.push_back(shard.primary);
  }
  if (!is_wanted && !primaries.empty()) {
    RedisHost& other = primaries[random_() % primaries.size()];
    std::erase(hosts, other);
    hosts.insert(hosts.begin(), std::move(other));
  }
  std::vector<RedisHost> others = url_.seeds;
  std::ranges::shuffle(others, random_);
  for (const Shard& shard : map_.shards) {
    others.push_back(shard.primary);
    others.insert(others.end(), shard.replicas.begin(), shard.replicas.end());
  }
  std::erase_if(others, refuses);
  others.insert(others.end(), refusing.begin(), refusing.end());
  for (RedisHost& host : others) {
    if (hosts.size() >= kMaxAsked) break;
    if (std::ranges::find(hosts, host) == hosts.end()) hosts.push_back(std::move(host));
  }
  return hosts;
}

void ClusterRouter::install(SlotMap map) {
  const bool is_new = !has_map_ || map != map_;
  if (has_map_ && is_new) tell_change(map);
  if (is_new) {
    map_ = std::move(map);
    ++map_version_;
    shards_.clear();
    for (const Shard& shard : map_.shards) {
      ShardNodes& nodes = shards_.emplace_back();
      nodes.primary = find_node(shard.primary, false);
      for (const RedisHost& replica : shard.replicas) {
        if (nodes.replica == nullptr) nodes.replica = find_node(replica, true);
      }
    }
    retire_unused();
  }
  if (std::exchange(told_map_error_, false)) log_info("the Redis Cluster is reachable again");
  has_map_ = true;
  map_error_.clear();
  on_fatal_ = nullptr;
  end_refresh(is_new);
}

void ClusterRouter::refresh_failed(const std::string& why) {
  map_error_ = fmt::format("no node of the Redis Cluster tells which of them serve which slots: {}", why);
  if (!std::exchange(told_map_error_, true)) {
    log_warning("no node of the Redis Cluster tells which of them serve which slots", {{"reason", why}});
  }
  pacer_.want();
  end_refresh(false);
}

void ClusterRouter::end_refresh(bool is_new) {
  is_refreshing_ = false;
  pacer_.ended(is_new);
  unpark(now_ms(), !has_map_ || is_new);
  if (!is_healthy()) pacer_.want();
  changed_();
  arm();
}

void ClusterRouter::tell_change(const SlotMap& map) const {
  const auto primaries = [](const SlotMap& of) {
    std::vector<std::string> names;
    for (const Shard& shard : of.shards) names.push_back(display_host(shard.primary.host, shard.primary.port));
    std::ranges::sort(names);
    std::string text;
    for (const std::string& name : names) text.append(text.empty() ? "" : ",").append(name);
    return text;
  };
  const std::string before = primaries(map_), after = primaries(map);
  if (before != after) log_info("the Redis Cluster has other primaries", {{"before", before}, {"now", after}});
}

// Whether every primary that was needed can be reached.
bool ClusterRouter::is_healthy() const {
  return has_map_ && std::ranges::all_of(shards_, [](const ShardNodes& shard) {
           return shard.primary == nullptr || shard.primary->link->circuit() == Circuit::closed;
         });
}

void ClusterRouter::arm() {
  if (closed_) return;
  std::uint64_t next = is_refreshing_ ? UINT64_MAX : pacer_.due_ms(jitter_);
  if (!parked_.empty()) next = std::min(next, parked_.begin()->first.first);
  const std::uint64_t now = now_ms();
  const bool has_dead = !dead_.empty() || std::ranges::any_of(nodes_, &Node::is_retired);
  if (has_dead) next = std::min(next, now + kBuryEveryMs);
  if (next == UINT64_MAX) return;
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<ClusterRouter*>(timer->data)->on_time(); },
      next > now ? next - now : 1, 0);
}

void ClusterRouter::on_time() {
  dead_.clear();
  bury();
  const std::uint64_t now = now_ms();
  unpark(now, false);
  if (!is_refreshing_ && pacer_.due_ms(jitter_) <= now) begin_refresh();
  arm();
  schedule_.resume();
}

// ---- what it is like

RedisState ClusterRouter::state() const {
  if (!has_map_) return map_error_.empty() ? RedisState::connecting : RedisState::down;
  const bool serves = std::ranges::any_of(shards_, [](const ShardNodes& shard) {
    return shard.primary == nullptr || shard.primary->link->state() != RedisState::down;
  });
  return serves ? RedisState::up : RedisState::down;
}

std::string ClusterRouter::reason() const {
  if (!has_map_) return map_error_;
  for (const ShardNodes& shard : shards_) {
    if (shard.primary == nullptr || shard.primary->link->state() != RedisState::down) continue;
    return fmt::format("{}: {}", shard.primary->link->address(), shard.primary->link->reason());
  }
  return {};
}

bool ClusterRouter::up() const {
  return has_map_ && std::ranges::any_of(shards_, [](const ShardNodes& shard) {
           return shard.primary == nullptr || shard.primary->link->circuit() == Circuit::closed;
         });
}

bool ClusterRouter::refuses_writes(std::string_view key) const {
  const auto refuses = [](const ShardNodes& shard) {
    return shard.primary != nullptr && shard.primary->link->refuses_writes();
  };
  if (key.empty()) return !shards_.empty() && std::ranges::all_of(shards_, refuses);
  const std::uint16_t shard = map_.shard_of[key_slot(key)];
  return shard != SlotMap::kUnserved && refuses(shards_[shard]);
}

std::vector<ClusterRouter::NodeView> ClusterRouter::nodes() const {
  std::vector<NodeView> views;
  for (const auto& node : nodes_) {
    if (!node->is_retired) views.push_back({node->link.get(), node->is_replica});
  }
  return views;
}

RedisNode* ClusterRouter::primary_for(std::string_view key) const noexcept {
  const std::uint16_t shard = map_.shard_of[key_slot(key)];
  if (shard == SlotMap::kUnserved || shards_[shard].primary == nullptr) return nullptr;
  return shards_[shard].primary->link.get();
}

std::vector<const RedisNode*> ClusterRouter::primaries() const {
  std::vector<const RedisNode*> found;
  for (const ShardNodes& shard : shards_) {
    if (shard.primary != nullptr) found.push_back(shard.primary->link.get());
  }
  return found;
}

bool ClusterRouter::is_member(const RedisHost& host) const {
  return std::ranges::any_of(map_.shards, [&host](const Shard& shard) {
    return shard.primary == host || std::ranges::find(shard.replicas, host) != shard.replicas.end();
  });
}

std::expected<RedisTarget, std::string> ClusterRouter::target_for(std::string_view key) {
  if (!has_map_) return std::unexpected(map_error_.empty() ? "the Redis Cluster was not asked yet" : map_error_);
  // Asked before an attempt to connect: the last one has failed, perhaps because the node is lost.
  want_refresh();
  if (key.empty()) return target_of(map_.shards[random_() % map_.shards.size()].primary, false);
  const std::uint16_t shard = map_.shard_of[key_slot(key)];
  if (shard == SlotMap::kUnserved) return std::unexpected("no node of the Redis Cluster serves the slot of the key");
  return target_of(map_.shards[shard].primary, false);
}

}  // namespace pronghorn::worker
