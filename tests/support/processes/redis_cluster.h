// Runs the processes of a Redis Cluster, or of a primary with replicas and sentinels, for one test.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/processes/redis_process.h"

namespace pronghorn::test {

struct ClusterOptions {
  std::size_t primaries = 3;
  std::size_t replicas = 1;  // of each primary
  // After which a node counts as lost. Short timeouts are for tests that kill nodes: a machine that stands still for
  // longer loses nodes, too.
  std::chrono::milliseconds node_timeout{1'000};
  std::vector<std::string> arguments;  // of each server
  std::vector<std::string> tls = {};   // see RedisOptions: all connections, also between nodes, use TLS
};

// Nodes 0 to primaries - 1 begin as primaries with equal shares of the slots; the others are their replicas, in the same
// order. Without persistence.
//
// Context: the main thread of a test.
// Errors:  the constructor and the functions that wait throw std::runtime_error after half a minute.
class RedisCluster {
 public:
  explicit RedisCluster(ClusterOptions options = {});

  // "redis+cluster://127.0.0.1:PORT,127.0.0.1:PORT", with TLS "rediss+cluster://…": the first two nodes.
  [[nodiscard]] std::string url() const;
  [[nodiscard]] RedisProcess& node(std::size_t index) noexcept { return *nodes_[index]; }
  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }
  [[nodiscard]] std::string id(std::size_t index) const;
  [[nodiscard]] bool is_primary(std::size_t index) const;
  // The node that serves the slot of `key`, as node 0 or, if it is killed, another sees it.
  [[nodiscard]] std::size_t owner_of(const std::string& key) const;

  // Starts another node and has it meet the others. It serves no slots yet. Returns its index.
  std::size_t add_node();
  // Moves one slot with its keys, as `redis-cli --cluster reshard` does.
  void move_slot(unsigned slot, std::size_t from, std::size_t to);
  // Waits until node `index` is a primary that serves slots, for the others too.
  void wait_promoted(std::size_t index) const;
  // Sends one command to every living node; returns the replies.
  std::vector<std::string> command_all(const std::vector<std::string>& words) const;

 private:
  [[nodiscard]] std::unique_ptr<RedisProcess> start_node() const;
  void meet(const RedisProcess& node) const;
  void wait_joined() const;

  ClusterOptions options_;
  std::vector<std::unique_ptr<RedisProcess>> nodes_;
};

// The number that follows `label` in a reply to INFO; 0 if it is not there.
[[nodiscard]] inline std::uint64_t number_in(const std::string& info, const std::string& label) {
  const auto at = info.find(label);
  return at == std::string::npos ? 0 : std::stoull(info.substr(at + label.size()));
}

// A primary, two replicas and three sentinels that need two votes.
class RedisSentinels {
 public:
  explicit RedisSentinels(std::vector<std::string> tls = {});  // see RedisOptions: of servers and sentinels

  static constexpr const char* kName = "main";
  // "redis+sentinel://127.0.0.1:PORT,…/main", with TLS "rediss+sentinel://…"
  [[nodiscard]] std::string url() const;
  [[nodiscard]] RedisProcess& server(std::size_t index) noexcept { return *servers_[index]; }
  [[nodiscard]] RedisProcess& sentinel(std::size_t index) noexcept { return *sentinels_[index]; }
  // The server that sentinel `asked` names.
  [[nodiscard]] std::size_t primary(std::size_t asked = 0) const;

 private:
  bool is_tls_;
  std::vector<std::unique_ptr<RedisProcess>> servers_;
  std::vector<std::unique_ptr<RedisProcess>> sentinels_;
};

// One for all tests of a program that leave it as it was, because starting it takes two seconds. They use different keys.
inline RedisCluster& shared_cluster() {
  static RedisCluster shared({.node_timeout = std::chrono::seconds(15), .arguments = {}});
  return shared;
}

}  // namespace pronghorn::test
