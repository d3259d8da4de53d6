#include "worker/state/redis/cluster_router.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <coroutine>
#include <utility>

#include "common/log.h"
#include "worker/fields/text.h"
#include "worker/state/redis/call_schedule.h"
#include "worker/state/redis/cluster/command_keys.h"
#include "worker/state/redis/link/encode_command.h"
#include "worker/state/redis/link/reply_errors.h"
#include "worker/state/redis/redis_call.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint64_t kWithFirstMap = UINT64_MAX;
constexpr std::size_t kMaxAsked = 8;          // nodes that one refresh asks
constexpr std::uint32_t kFollowedAtOnce = 3;  // redirections; later ones wait a little before each
constexpr std::uint64_t kBuryEveryMs = 500;

std::uint64_t now_ms() noexcept { return uv_hrtime() / 1'000'000; }

// 2 ms, doubled each time, up to 64 ms.
std::uint64_t backoff_ms(std::uint32_t attempts) noexcept { return 1ULL << std::clamp<std::uint32_t>(attempts, 1, 6); }

// A key may hold any bytes, and any number of them.
std::string shown(std::string_view key) {
  constexpr std::size_t kShown = 64;
  std::string text;
  for (const char c : key.substr(0, kShown)) {
    if (c > ' ' && c < 0x7f) {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return text + (key.size() > kShown ? "…" : "");
}

std::string crossing(std::string_view command, std::string_view key, std::string_view other) {
  return fmt::format(
      "{} has keys in different slots of the Redis Cluster, {} and {}: give them the same hash tag, as in "
      "{{user:7}}:cart",
      command, shown(key), shown(other));
}

// A coroutine that owns itself.
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept {}
  };
};

// The words are copied before the first suspension.
Detached carry_out(ClusterRouter& router, std::span<const std::string_view> words) {
  RedisCall call(router);
  call.send(words);
  co_await call;
}

}  // namespace

ClusterRouter::ClusterRouter(uv_loop_t* loop, RedisUrl url, LinkSettings settings, std::string trial_key,
                             CounterArray& counters, CallSchedule& schedule, std::function<void()> changed)
    : loop_(loop),
      url_(std::move(url)),
      settings_(std::move(settings)),
      trial_key_(std::move(trial_key)),
      counters_(counters),
      schedule_(schedule),
      changed_(std::move(changed)),
      timeout_ns_(static_cast<std::uint64_t>(std::chrono::nanoseconds(settings_.timeout).count())),
      random_(std::random_device{}()),
      timer_(make_uv<uv_timer_t>(loop, uv_timer_init, this)) {
  last_any_ = random_();
}

ClusterRouter::~ClusterRouter() { close(); }

void ClusterRouter::start(std::function<void(std::string)> on_fatal) {
  on_fatal_ = std::move(on_fatal);
  changed_();
  want_refresh();
}

void ClusterRouter::close() {
  if (std::exchange(closed_, true)) return;
  timer_.reset();
  refreshing_ = {};
  for (const auto& node : nodes_) node->link->close();
  while (!parked_.empty()) parked_.back().call->fail("the worker is stopping");
}

// ---- commands

void ClusterRouter::issue(RedisCall& call, std::span<const std::string_view> words) {
  if (call.failed()) return;
  if (!call.routed_) {
    call.routed_ = std::make_unique<RoutedCommands>();
    call.routed_->started_ns = uv_hrtime();
    if (call.until_ns_ <= call.routed_->started_ns) return call.fail(kNoTimeLeft);
    if (call.until_ns_ < call.routed_->started_ns + timeout_ns_) schedule_.fail_at(call, call.until_ns_);
  }
  RoutedCommands& routed = *call.routed_;
  if (!routed.in_transaction) routed.units.emplace_back().first = static_cast<std::uint32_t>(call.sent_);
  RoutedUnit& unit = routed.units.back();

  const CommandSlot where = command_slot(words);
  if (where.crosses) return call.fail(crossing(words[0], where.key, where.other_key), true);
  const bool begins = equal_ignoring_case(words[0], "MULTI");
  const bool ends = equal_ignoring_case(words[0], "EXEC") || equal_ignoring_case(words[0], "DISCARD");
  routed.in_transaction = begins || (routed.in_transaction && !ends);
  if (where.slot && unit.slot && *where.slot != *unit.slot) {
    return call.fail(crossing("a transaction", unit.key, where.key), true);
  }
  if (where.slot && !unit.slot) {
    unit.slot = where.slot;
    if (routed.in_transaction) unit.key = where.key;
  }
  append_command(unit.bytes, words);
  ++unit.count;
  if (call.sent_++ > 0) call.others_.emplace_back();
  if (begins) schedule_.fail_at(call, std::min(call.until_ns_, routed.started_ns + timeout_ns_));
  if (!routed.in_transaction) place(call, routed.units.size() - 1);
}

void ClusterRouter::place(RedisCall& call, std::size_t index) {
  RoutedUnit& unit = call.routed_->units[index];
  unit.received = 0;
  unit.redirect.reset();
  if (closed_) return fail(call, "the worker is stopping");
  if (!has_map_) {
    if (!map_error_.empty()) return fail(call, map_error_);
    return park(call, index, kWithFirstMap);
  }
  Node* node = nullptr;
  if (!unit.slot) {
    node = any_primary();
  } else {
    const std::uint16_t shard = map_.shard_of[*unit.slot];
    if (shard == SlotMap::kUnserved) {
      want_refresh();
      return fail(call, fmt::format("no node of the Redis Cluster serves slot {}", *unit.slot));
    }
    if (call.may_be_stale_) {
      node = replica_of(shard);
      if (node == nullptr) want_refresh();  // it may have one by now
    }
    if (node == nullptr || !node->link->obstacle(unit.bytes.size()).empty()) node = primary_of(shard);
  }
  if (node == nullptr) return fail(call, "the Redis Cluster has too many nodes");
  send_to(*node, call, index, false);
}

void ClusterRouter::send_to(Node& node, RedisCall& call, std::size_t index, bool asking) {
  RoutedUnit& unit = call.routed_->units[index];
  if (const std::string why = node.link->obstacle(unit.bytes.size()); !why.empty()) {
    want_refresh();
    return fail(call, why);
  }
  if (asking) node.link->enqueue(nullptr, 0, 1, "*1\r\n$6\r\nASKING\r\n");
  unit.state = RoutedUnit::State::in_flight;
  unit.node = node.link.get();
  unit.sequence = node.link->enqueue(&call, unit.first, unit.count, unit.bytes);
  add(counters_[Count::redis_commands], unit.count);
}

void ClusterRouter::node_replied(RedisNode& node, RedisCall& call, std::uint32_t index, Reply reply) {
  const std::size_t position = call.routed_->unit_of(index);
  RoutedUnit& unit = call.routed_->units[position];
  if (reply.is_error()) {
    if (auto redirect = parse_redirect(reply.error())) {
      unit.redirect = std::move(redirect);
    } else if (reply.error().starts_with("CLUSTERDOWN")) {
      want_refresh();
    }
  }
  call.reply(index) = std::move(reply);
  if (++unit.received < unit.count) return;
  // A transaction of which one command was redirected has not been carried out: EXEC was refused.
  if (unit.redirect) return follow(node, call, position);
  finish(call, position);
}

void ClusterRouter::finish(RedisCall& call, std::size_t index) {
  RoutedUnit& unit = call.routed_->units[index];
  unit.state = RoutedUnit::State::done;
  unit.bytes = {};
  call.received_ += unit.count;
  for (std::uint32_t i = unit.first; i < unit.first + unit.count; ++i) {
    const Reply& reply = call.reply(i);
    if (reply.is_error() && !reply.error().starts_with("NOSCRIPT")) add(counters_[Count::redis_errors]);
  }
  if (call.outstanding() == 0) schedule_.make_ready(call);
}

void ClusterRouter::follow(RedisNode& from, RedisCall& call, std::size_t index) {
  RoutedCommands& routed = *call.routed_;
  RoutedUnit& unit = routed.units[index];
  Redirect redirect = std::move(*unit.redirect);
  const bool again = redirect.kind == Redirect::Kind::try_again;
  ++unit.attempts;
  if (!again && ++unit.redirects > kMaxRedirects) {
    want_refresh();
    return fail(call, fmt::format("the Redis Cluster has redirected a command {} times", kMaxRedirects));
  }
  schedule_.fail_at(call, std::min(call.until_ns_, routed.started_ns + timeout_ns_));
  if (again) return park(call, index, now_ms() + backoff_ms(unit.attempts));
  if (redirect.to.host.empty()) redirect.to.host = from.host();
  if (redirect.kind == Redirect::Kind::ask) {
    Node* node = node_at(redirect.to, false);
    if (node == nullptr) return fail(call, "the Redis Cluster has too many nodes");
    unit.received = 0;
    unit.redirect.reset();
    return send_to(*node, call, index, true);
  }
  moved(redirect);
  call.may_be_stale_ = false;  // a replica sends whatever is no read to its primary
  if (unit.redirects <= kFollowedAtOnce) return place(call, index);
  park(call, index, now_ms() + backoff_ms(unit.attempts));
}

void ClusterRouter::moved(const Redirect& redirect) {
  std::uint16_t& owner = map_.shard_of[redirect.slot];
  if (owner != SlotMap::kUnserved && map_.shards[owner].primary == redirect.to) return;
  want_refresh();
  const auto known = std::ranges::find(map_.shards, redirect.to, &Shard::primary);
  if (known == map_.shards.end()) {
    if (map_.shards.size() >= SlotMap::kMaxShards) return;
    map_.shards.push_back({redirect.to, {}});
    shards_.push_back({find_node(redirect.to, false), nullptr});
    owner = static_cast<std::uint16_t>(map_.shards.size() - 1);
  } else {
    owner = static_cast<std::uint16_t>(known - map_.shards.begin());
  }
}

void ClusterRouter::park(RedisCall& call, std::size_t index, std::uint64_t due_ms) {
  if (parked_.size() >= RedisNode::kMaxPending) {
    return fail(call, fmt::format("the queue for Redis is full: {} commands", parked_.size()));
  }
  RoutedCommands& routed = *call.routed_;
  routed.units[index].state = RoutedUnit::State::parked;
  schedule_.fail_at(call, std::min(call.until_ns_, routed.started_ns + timeout_ns_));
  parked_.push_back({&call, index, due_ms});
  if (due_ms != kWithFirstMap) arm();
}

// Sends what is due; everything, if `all`. Nothing is resumed meanwhile, so the calls stay.
void ClusterRouter::unpark(std::uint64_t now, bool all) {
  for (const Parked& entry : std::exchange(parked_, {})) {
    if (entry.call->failed()) continue;
    if (all || entry.due_ms <= now) {
      place(*entry.call, entry.unit);
    } else {
      parked_.push_back(entry);
    }
  }
}

void ClusterRouter::fail(RedisCall& call, std::string_view why) {
  add(counters_[Count::redis_errors]);
  call.fail(why);
}

void ClusterRouter::forget(RedisCall& call) noexcept {
  if (!call.routed_) return;
  bool is_parked = false;
  for (RoutedUnit& unit : call.routed_->units) {
    if (unit.state == RoutedUnit::State::in_flight) unit.node->forget(unit.sequence, unit.count);
    is_parked |= unit.state == RoutedUnit::State::parked;
    unit.state = RoutedUnit::State::done;
  }
  if (is_parked) std::erase_if(parked_, [&call](const Parked& entry) { return entry.call == &call; });
}

// A call of its own, because the command may be redirected.
void ClusterRouter::post(std::span<const std::string_view> words) {
  if (!closed_) carry_out(*this, words);
}

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
  pacer_.began(now_ms());
  jitter_ = static_cast<unsigned>(random_() % 256);
  is_refreshing_ = true;
  refreshing_ = refresh();
  refreshing_.start();
}

Task<void> ClusterRouter::refresh() {
  std::string why = "no node could be asked";
  const std::vector<RedisHost> hosts = whom_to_ask();
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
    if (map) {
      install(std::move(*map));
      co_return;
    }
    why = fmt::format("{}: {}", display_host(host.host, host.port), map.error());
  }
  refresh_failed(why);
}

// First those to which a connection is up, in any order, then those of the option, then those of the map.
std::vector<RedisHost> ClusterRouter::whom_to_ask() {
  std::vector<RedisHost> hosts;
  for (const auto& node : nodes_) {
    if (node->link->up() && node->link->circuit() == Circuit::closed && !node->is_retired) hosts.push_back(node->host);
  }
  std::ranges::shuffle(hosts, random_);
  std::vector<RedisHost> others = url_.seeds;
  std::ranges::shuffle(others, random_);
  for (const Shard& shard : map_.shards) {
    others.push_back(shard.primary);
    others.insert(others.end(), shard.replicas.begin(), shard.replicas.end());
  }
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
  for (const Parked& entry : parked_) next = std::min(next, entry.due_ms);
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

std::expected<RedisTarget, std::string> ClusterRouter::target_for(std::string_view key) {
  if (!has_map_ && key.empty()) return target_of(url_.seeds[random_() % url_.seeds.size()], false);
  if (!has_map_) return std::unexpected(map_error_.empty() ? "the Redis Cluster was not asked yet" : map_error_);
  // Asked before an attempt to connect: the last one has failed, perhaps because the node is lost.
  want_refresh();
  if (key.empty()) return target_of(map_.shards[random_() % map_.shards.size()].primary, false);
  const std::uint16_t shard = map_.shard_of[key_slot(key)];
  if (shard == SlotMap::kUnserved) return std::unexpected("no node of the Redis Cluster serves the slot of the key");
  return target_of(map_.shards[shard].primary, false);
}

}  // namespace pronghorn::worker
