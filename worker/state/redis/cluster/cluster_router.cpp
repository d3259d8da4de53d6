// The way of a command: see cluster_router.h.
#include "worker/state/redis/cluster/cluster_router.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <coroutine>
#include <utility>

#include "common/log.h"
#include "worker/fields/text.h"
#include "worker/state/redis/node/call_schedule.h"
#include "worker/state/redis/node/redis_call.h"
#include "worker/state/redis/protocol/encode_command.h"
#include "worker/state/redis/protocol/reply_errors.h"
#include "worker/state/redis/slots/command_keys.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint64_t kWithFirstMap = UINT64_MAX;
constexpr std::uint32_t kFollowedAtOnce = 3;  // redirections; later ones wait a little before each

// 2 ms, doubled each time, up to 64 ms.
std::uint64_t backoff_ms(std::uint32_t attempts) noexcept { return 1ULL << std::clamp<std::uint32_t>(attempts, 1, 6); }

std::string crossing(std::string_view command, std::string_view key, std::string_view other) {
  return fmt::format(
      "{} has keys in different slots of the Redis Cluster, {} and {}: give them the same hash tag, as in "
      "{{user:7}}:cart",
      command, shown_key(key), shown_key(other));
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
  while (!parked_.empty()) parked_.begin()->second.call->fail("the worker is stopping");
}

// ---- commands

// The call's first command. Whether there is time left for it.
bool ClusterRouter::begin(RedisCall& call) {
  call.routed_ = take_routed_commands();
  const std::uint64_t now = call.routed_->started_ns = uv_hrtime();
  if (call.until_ns_ <= now) {
    call.fail(kNoTimeLeft);
    return false;
  }
  if (call.until_ns_ < now + timeout_ns_) schedule_.fail_at(call, call.until_ns_);
  return true;
}

void ClusterRouter::issue(RedisCall& call, std::span<const std::string_view> words) {
  if (call.failed()) return;
  if (!call.routed_ && !begin(call)) return;
  RoutedCommands& routed = *call.routed_;
  if (!routed.in_transaction) {
    RoutedUnit& added = routed.units.emplace_back();
    added.first = static_cast<std::uint32_t>(call.sent_);
    added.begin = routed.bytes.size();
  }
  RoutedUnit& unit = routed.units.back();

  const CommandSlot where = command_slot(words);
  if (where.crosses) return call.fail(crossing(words[0], where.key, where.other_key), true);
  const bool begins = equal_ignoring_case(words[0], "MULTI");
  const bool ends = equal_ignoring_case(words[0], "EXEC") || equal_ignoring_case(words[0], "DISCARD");
  routed.in_transaction = begins || (routed.in_transaction && !ends);
  if (where.slot && unit.slot && *where.slot != *unit.slot) {
    return call.fail(crossing("a transaction", routed.transaction_key, where.key), true);
  }
  if (where.slot && !unit.slot) {
    unit.slot = where.slot;
    if (routed.in_transaction) routed.transaction_key = where.key;
  }
  append_command(routed.bytes, words);
  unit.end = routed.bytes.size();
  ++unit.count;
  if (call.sent_++ > 0) call.others_.emplace_back();
  if (begins) schedule_.fail_at(call, std::min(call.until_ns_, routed.started_ns + timeout_ns_));
  if (!routed.in_transaction) place(call, routed.units.size() - 1, routed.started_ns);
}

void ClusterRouter::place(RedisCall& call, std::size_t index, std::uint64_t now_ns) {
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
    if (node == nullptr || !node->link->obstacle(unit.end - unit.begin).empty()) node = primary_of(shard);
  }
  if (node == nullptr) return fail(call, "the Redis Cluster has too many nodes");
  send_to(*node, call, index, now_ns);
}

void ClusterRouter::send_to(Node& node, RedisCall& call, std::size_t index, std::uint64_t now_ns, bool asking) {
  RoutedCommands& routed = *call.routed_;
  RoutedUnit& unit = routed.units[index];
  const std::string_view bytes = routed.bytes_of(unit);
  if (!node.link->is_free(bytes.size())) {
    if (const std::string why = node.link->obstacle(bytes.size()); !why.empty()) {
      want_refresh();
      return fail(call, why);
    }
  }
  if (asking) node.link->enqueue(nullptr, 0, 1, "*1\r\n$6\r\nASKING\r\n", now_ns);
  unit.state = RoutedUnit::State::in_flight;
  unit.node = node.link.get();
  unit.sequence = node.link->enqueue(&call, unit.first, unit.count, bytes, now_ns);
  add(counters_[Count::redis_commands], unit.count);
}

void ClusterRouter::node_replied(RedisNode& node, RedisCall& call, std::uint32_t index, Reply&& reply) {
  const std::size_t position = call.routed_->unit_of(index);
  RoutedUnit& unit = call.routed_->units[position];
  if (reply.is_error()) {
    if (auto redirect = parse_redirect(reply.error())) {
      unit.redirect = std::make_unique<Redirect>(std::move(*redirect));
    } else if (reply.error().starts_with("CLUSTERDOWN")) {
      want_refresh();
    }
  }
  call.reply(index) = std::move(reply);
  if (++unit.received < unit.count) return;
  unit.connection = node.connection();
  // A transaction of which one command was redirected has not been carried out: EXEC was refused.
  if (unit.redirect) return follow(node, call, position);
  finish(call, position);
}

void ClusterRouter::finish(RedisCall& call, std::size_t index) {
  RoutedUnit& unit = call.routed_->units[index];
  unit.state = RoutedUnit::State::done;
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
  if (again) {
    want_refresh();
    return park(call, index, now_ms() + backoff_ms(unit.attempts));
  }
  if (redirect.to.host.empty()) redirect.to.host = from.target().url.host;
  if (redirect.kind == Redirect::Kind::ask) {
    Node* node = node_at(redirect.to, false);
    if (node == nullptr) return fail(call, "the Redis Cluster has too many nodes");
    unit.received = 0;
    unit.redirect.reset();
    return send_to(*node, call, index, uv_hrtime(), true);
  }
  moved(redirect);
  call.may_be_stale_ = false;  // a replica sends whatever is no read to its primary
  if (unit.redirects <= kFollowedAtOnce) return place(call, index, uv_hrtime());
  park(call, index, now_ms() + backoff_ms(unit.attempts));
}

void ClusterRouter::moved(const Redirect& redirect) {
  std::uint16_t& owner = map_.shard_of[redirect.slot];
  if (owner != SlotMap::kUnserved && map_.shards[owner].primary == redirect.to) return;
  ++map_version_;
  want_refresh();
  const auto known = std::ranges::find(map_.shards, redirect.to, &Shard::primary);
  if (known == map_.shards.end()) {
    if (map_.shards.size() >= SlotMap::kMaxShards) return;
    map_.shards.push_back({redirect.to, {}});
    shards_.push_back({});  // primary_of() finds the node, and keeps it if it was about to be closed
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
  RoutedUnit& unit = routed.units[index];
  unit.state = RoutedUnit::State::parked;
  unit.due_ms = due_ms;
  unit.sequence = ++last_parked_;
  schedule_.fail_at(call, std::min(call.until_ns_, routed.started_ns + timeout_ns_));
  parked_.emplace(ParkedAt(due_ms, unit.sequence), Parked{&call, index});
  if (due_ms != kWithFirstMap) arm();
}

// Sends what is due; everything, if `all`. Nothing is resumed meanwhile, so the calls stay.
void ClusterRouter::unpark(std::uint64_t now, bool all) {
  const auto end = all ? parked_.end() : parked_.upper_bound({now, UINT64_MAX});
  std::vector<Parked> due;
  for (auto entry = parked_.begin(); entry != end; ++entry) due.push_back(entry->second);
  parked_.erase(parked_.begin(), end);
  for (const Parked& entry : due) {
    if (!entry.call->failed()) place(*entry.call, entry.unit, uv_hrtime());
  }
}

void ClusterRouter::fail(RedisCall& call, std::string_view why) {
  add(counters_[Count::redis_errors]);
  call.fail(why);
}

void ClusterRouter::forget(RedisCall& call) noexcept {
  if (!call.routed_) return;
  for (RoutedUnit& unit : call.routed_->units) {
    if (unit.state == RoutedUnit::State::in_flight) unit.node->forget(unit.sequence, unit.count);
    if (unit.state == RoutedUnit::State::parked) parked_.erase({unit.due_ms, unit.sequence});
    unit.state = RoutedUnit::State::done;
  }
}

// A call of its own, because the command may be redirected.
void ClusterRouter::post(std::span<const std::string_view> words) {
  if (!closed_) carry_out(*this, words);
}

}  // namespace pronghorn::worker
