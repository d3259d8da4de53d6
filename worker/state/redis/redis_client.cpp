#include "worker/state/redis/redis_client.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

namespace pronghorn::worker {

RedisClient::RedisClient(uv_loop_t* loop, RedisUrl url, LinkSettings settings, std::string trial_key, WorkerRow& row)
    : loop_(loop),
      url_(std::move(url)),
      settings_(std::move(settings)),
      trial_key_(std::move(trial_key)),
      status_(row),
      counters_(row.counters),
      schedule_(loop, row.counters),
      own_connections_(loop, link_settings("waiting"), row.counters, schedule_) {
  if (url_.kind == RedisUrl::Kind::cluster) {
    router_ = std::make_unique<ClusterRouter>(loop, url_, settings_, trial_key_, row.counters, schedule_,
                                              [this] { report(); });
  } else {
    if (url_.kind == RedisUrl::Kind::sentinel) {
      finder_ = std::make_unique<PrimaryFinder>(loop, url_, settings_, schedule_,
                                                [this](bool is_new) { primary_found(is_new); });
    }
    node_ = std::make_unique<RedisNode>(
        loop, [this] { return own_target(); }, settings_, row.counters, schedule_,
        static_cast<RedisNode::Owner&>(*this));
  }
  status_.set(RedisState::connecting);
}

RedisClient::~RedisClient() { close(); }

void RedisClient::start(std::function<void(std::string)> on_fatal) {
  if (finder_) finder_->start(on_fatal);
  if (node_) {
    node_->start(std::move(on_fatal));
  } else {
    router_->start(std::move(on_fatal));
  }
}

void RedisClient::close() {
  closed_ = true;
  if (finder_) finder_->close();
  if (replica_) replica_->close();
  if (node_) node_->close();
  if (router_) router_->close();
  own_connections_.close();
  schedule_.resume();
  schedule_.close();
}

void RedisClient::post(std::span<const std::string_view> words) {
  if (node_) {
    node_->post(words);
  } else {
    router_->post(words);
  }
}

bool RedisClient::up() const noexcept { return node_ ? node_->up() : router_->up(); }

bool RedisClient::serves() const noexcept {
  return node_ ? node_->state() == RedisState::up : router_->up() && !router_->refuses_writes({});
}

RedisNode* RedisClient::node_for_key(std::string_view key) const noexcept {
  return node_ ? node_.get() : router_->primary_for(key);
}

std::vector<const RedisNode*> RedisClient::primaries() const {
  return node_ ? std::vector<const RedisNode*>{node_.get()} : router_->primaries();
}

bool RedisClient::refuses_writes(std::string_view key) const noexcept {
  return node_ ? node_->refuses_writes() : router_->refuses_writes(key);
}

// ---- where to connect

std::expected<RedisTarget, std::string> RedisClient::own_target() const {
  RedisTarget target{url_, RedisTarget::Kind::server, trial_key_};
  if (!finder_) return target;
  const std::optional<RedisHost>& primary = finder_->primary();
  if (!primary) return std::unexpected(finder_->reason());
  target.url.kind = RedisUrl::Kind::server;
  target.url.host = primary->host;
  target.url.port = primary->port;
  target.kind = RedisTarget::Kind::primary;
  return target;
}

std::expected<RedisTarget, std::string> RedisClient::target_for(std::string_view key) const {
  if (router_) return router_->target_for(key);
  auto target = own_target();
  if (target) target->trial_key.clear();
  return target;
}

RedisTarget RedisClient::redirected_target(const Redirect& redirect) {
  if (redirect.kind == Redirect::Kind::moved) router_->moved(redirect);
  return router_->target_of(redirect.to, false);
}

bool RedisClient::has_left(const RedisTarget& target) const {
  return router_ && !router_->is_member({target.url.host, target.url.port});
}

LinkSettings RedisClient::link_settings(std::string_view purpose) const {
  LinkSettings settings = settings_;
  if (!settings.client_name.empty()) settings.client_name.append(":").append(purpose);
  return settings;
}

void RedisClient::primary_found(bool is_new) {
  if (replica_) replica_->named(finder_->replicas());
  if (is_new) {
    node_->switch_target();
  } else if (!node_->up()) {
    node_->retry_now();
  }
}

RedisNode* RedisClient::node_for(const CallOptions& options) {
  if (!options.may_be_stale || !finder_ || closed_) return node_.get();
  if (!replica_) {
    replica_ = std::make_unique<ReplicaReader>(loop_, url_, settings_, counters_, schedule_, [this] { report(); });
    finder_->ask_for_replicas();
  }
  RedisNode* replica = replica_->usable();
  return replica != nullptr ? replica : node_.get();
}

RedisCall::RedisCall(RedisClient& client, const CallOptions& options) noexcept
    : RedisCall(client.node_for(options), client.router_.get(), client.schedule_, options) {}

// ---- status

void RedisClient::node_changed(RedisNode& node) {
  if (finder_) finder_->primary_is(node.up(), node.up() && !node.refuses_writes());
  report();
}

void RedisClient::report() {
  std::vector<RedisNodeFacts> nodes;
  const auto add_node = [&nodes](const RedisNode& node, bool is_replica) {
    nodes.push_back({node.address(), node.state(), node.circuit(), is_replica});
  };
  if (router_) {
    status_.set(router_->state(), router_->reason());
    for (const auto& [node, is_replica] : router_->nodes()) add_node(*node, is_replica);
  } else {
    if (const RedisState state = node_->state(); state != RedisState::connecting) status_.set(state, node_->reason());
    add_node(*node_, false);
    if (replica_ && replica_->is_chosen()) add_node(replica_->node(), true);
  }
  status_.set_nodes(nodes);
  if (changed_) changed_();
}

}  // namespace pronghorn::worker
