#include "worker/state/cache/local/local_cache.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "pronghorn/concurrent.h"
#include "worker/runtime/runtime.h"
#include "worker/state/redis/node/redis_call.h"
#include "worker/state/redis/node/redis_node.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint64_t kAgainMs = 60'000;  // after a refusal: somebody may have changed the user's permissions

RedisHost host_of(const RedisNode& node) { return {node.target().url.host, node.target().url.port}; }

std::unique_ptr<Subscriber> subscriber_to(const RedisNode& node, const RedisClient& client) {
  RedisTarget target = node.target();
  target.trial_key.clear();
  return std::make_unique<Subscriber>(
      Runtime::current().loop(), [target = std::move(target)] { return target; }, client.link_settings("cache"));
}

}  // namespace

LocalCache::LocalCache(RedisClient& client, Subscriber& subscriber, std::size_t max_bytes)
    : client_(client), subscriber_(subscriber), copies_(max_bytes) {
  client_.on_change([this] { redis_changed(); });
}

void LocalCache::close() {
  if (std::exchange(closed_, true)) return;
  client_.on_change(nullptr);
  servers_.clear();
}

std::uint64_t LocalCache::now_ms() { return uv_now(Runtime::current().loop()); }

bool LocalCache::watches(std::uint64_t connection) const noexcept {
  return connection != 0 &&
         std::ranges::any_of(servers_, [&](const Server& server) { return server.watch->connection() == connection; });
}

LocalCache::Server* LocalCache::find_server(const RedisHost& host) noexcept {
  if (!client_.is_cluster()) return servers_.empty() ? nullptr : &servers_.front();
  const auto found = std::ranges::find(servers_, host, &Server::host);
  return found == servers_.end() ? nullptr : &*found;
}

LocalCache::Server& LocalCache::server_of(const RedisNode& node) {
  const RedisHost host = host_of(node);
  if (Server* known = find_server(host)) return *known;
  auto watch = client_.is_cluster() ? std::make_unique<KeyWatch>(copies_, subscriber_to(node, client_))
                                    : std::make_unique<KeyWatch>(copies_, subscriber_);
  return servers_.emplace_back(host, false, std::move(watch));
}

bool LocalCache::ready(std::string_view key) {
  RedisNode* const node = closed_ ? nullptr : client_.node_for_key(key);
  if (node == nullptr || !node->up()) return false;
  Server& server = server_of(*node);
  if (server.watch->connection() == node->connection()) return true;
  if (server.switching_on || now_ms() < again_ms_) return false;
  const std::int64_t told_to = server.watch->told_to();
  if (told_to == 0) return false;
  server.switching_on = true;
  spawn(switch_on(server.host, *node, told_to));
  return false;
}

// With what reads for copies will need (TrackedRead), because that may be refused on its own. It tracks one more command.
Task<void> LocalCache::switch_on(RedisHost host, RedisNode& node, std::int64_t told_to) {
  const std::uint64_t connection = node.connection();
  const std::string id = std::to_string(told_to);
  RedisCall call(node);
  call.send({"CLIENT", "TRACKING", "ON", "REDIRECT", id, "OPTIN"});
  if (client_.is_cluster()) call.send({"MULTI"});
  call.send({"CLIENT", "CACHING", "YES"});
  if (client_.is_cluster()) call.send({"EXEC"});
  const std::size_t sent = client_.is_cluster() ? 4 : 2;
  bool answered = false;
  try {
    co_await call;
    answered = true;
  } catch (const RedisUnavailable&) {  // logged by the Redis client
  }
  Server* const server = find_server(host);
  if (server == nullptr) co_return;
  server->switching_on = false;
  if (!answered || call.connection(0) != connection || server->watch->told_to() != told_to) co_return;
  for (std::size_t i = 0; i < sent; ++i) {
    if (!call.reply(i).is_error()) continue;
    refused(call.reply(i).error());
    co_return;
  }
  server->watch->begin(connection);
  if (std::exchange(told_refused_, false)) log_info("the cache keeps local copies again");
}

void LocalCache::refused(std::string_view why) {
  again_ms_ = now_ms() + kAgainMs;
  if (std::exchange(told_refused_, true)) return;
  log_warning("the cache keeps no local copies: Redis does not tell of changes (CLIENT TRACKING)", {{"reason", why}});
}

void LocalCache::redis_changed() {
  if (servers_.empty()) return;
  const std::vector<const RedisNode*> nodes = client_.primaries();
  std::erase_if(servers_, [&](Server& server) {
    const auto node = std::ranges::find_if(
        nodes, [&](const RedisNode* each) { return !client_.is_cluster() || host_of(*each) == server.host; });
    if (node == nodes.end()) return true;
    if ((*node)->connection() != server.watch->connection()) server.watch->end();
    return false;
  });
  if (std::exchange(map_version_, client_.map_version()) == client_.map_version()) return;
  copies_.drop_if([this](const LocalCopies::Slot& slot) {
    const RedisNode* const node = client_.node_for_key(slot.key);
    return slot.watch != 0 && (node == nullptr || node->connection() != slot.watch);
  });
}

}  // namespace pronghorn::worker
