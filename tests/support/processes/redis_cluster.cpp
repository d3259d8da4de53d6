#include "support/processes/redis_cluster.h"

#include <sstream>
#include <stdexcept>

#include "support/eventually.h"

namespace pronghorn::test {
namespace {

constexpr auto kPatience = std::chrono::seconds(30);
constexpr unsigned kSlots = 16'384;

void require(bool met, const std::string& what) {
  if (!met) throw std::runtime_error(what);
}

void require_ok(const std::string& reply, const std::string& what) { require(reply == "OK", what + ": " + reply); }

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// A server that was killed does not answer.
std::string ask(const RedisProcess& server, const std::vector<std::string>& words) {
  try {
    return server.command(words);
  } catch (const std::runtime_error&) {
    return "";
  }
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

}  // namespace

RedisCluster::RedisCluster(ClusterOptions options) : options_(std::move(options)) {
  const std::size_t total = options_.primaries * (1 + options_.replicas);
  for (std::size_t i = 0; i < total; ++i) nodes_.push_back(start_node());
  for (std::size_t i = 0; i < total; ++i) {
    require_ok(nodes_[i]->command({"CLUSTER", "SET-CONFIG-EPOCH", std::to_string(i + 1)}), "SET-CONFIG-EPOCH");
  }
  for (std::size_t i = 0; i < options_.primaries; ++i) {
    const auto first = kSlots * i / options_.primaries, end = kSlots * (i + 1) / options_.primaries;
    require_ok(nodes_[i]->command({"CLUSTER", "ADDSLOTSRANGE", std::to_string(first), std::to_string(end - 1)}),
               "ADDSLOTSRANGE");
  }
  for (std::size_t i = 1; i < total; ++i) meet(*nodes_[i]);
  wait_joined();
  for (std::size_t i = options_.primaries; i < total; ++i) {
    const std::string primary = id(i % options_.primaries);
    require_ok(nodes_[i]->command({"CLUSTER", "REPLICATE", primary}), "REPLICATE");
  }
  for (std::size_t i = options_.primaries; i < total; ++i) {
    const RedisProcess& replica = *nodes_[i];
    require(
        eventually(
            kPatience, [&] { return contains(ask(replica, {"INFO", "replication"}), "master_link_status:up"); }, 10ms),
        "a replica does not reach its primary:\n" + replica.log());
  }
  for (const auto& node : nodes_) {
    require(eventually(
                kPatience,
                [&] {
                  return count(ask(*node, {"CLUSTER", "NODES"}), " slave ") +
                             count(ask(*node, {"CLUSTER", "NODES"}), ",slave ") ==
                         options_.primaries * options_.replicas;
                },
                10ms),
            "a node does not know the replicas");
  }
  const std::string timeout = std::to_string(options_.node_timeout.count());
  for (const std::string& reply : command_all({"CONFIG", "SET", "cluster-node-timeout", timeout})) {
    require_ok(reply, "CONFIG SET");
  }
}

std::unique_ptr<RedisProcess> RedisCluster::start_node() const {
  RedisOptions options;
  options.tcp = true;
  options.arguments = {"--cluster-enabled",
                       "yes",
                       "--cluster-node-timeout",
                       "1000",  // until they know each other
                       "--cluster-port",
                       std::to_string(free_port()),
                       "--repl-diskless-sync-delay",
                       "0",
                       "--cluster-replica-validity-factor",
                       "0"};
  options.tls = options_.tls;
  if (!options.tls.empty()) {
    options.arguments.insert(options.arguments.end(), {"--tls-cluster", "yes", "--tls-replication", "yes"});
  }
  options.arguments.insert(options.arguments.end(), options_.arguments.begin(), options_.arguments.end());
  return std::make_unique<RedisProcess>(std::move(options));
}

void RedisCluster::meet(const RedisProcess& node) const {
  std::string bus = node.command({"CONFIG", "GET", "cluster-port"});
  bus = bus.substr(bus.find('\n') + 1);
  require_ok(nodes_[0]->command({"CLUSTER", "MEET", "127.0.0.1", std::to_string(node.port()), bus}), "MEET");
}

void RedisCluster::wait_joined() const {
  for (const auto& node : nodes_) {
    require(eventually(
                kPatience,
                [&] {
                  const std::string known = ask(*node, {"CLUSTER", "NODES"});
                  return count(known, "\n") == nodes_.size() && !contains(known, "handshake") &&
                         count(known, " connected") == nodes_.size() &&
                         contains(ask(*node, {"CLUSTER", "INFO"}), "cluster_state:ok");
                },
                10ms),
            "a node does not join the cluster:\n" + node->command({"CLUSTER", "NODES"}));
  }
}

std::string RedisCluster::url() const {
  return std::string(options_.tls.empty() ? "redis" : "rediss") +
         "+cluster://127.0.0.1:" + std::to_string(nodes_[0]->port()) +
         ",127.0.0.1:" + std::to_string(nodes_[1]->port());
}

std::string RedisCluster::id(std::size_t index) const { return nodes_[index]->command({"CLUSTER", "MYID"}); }

bool RedisCluster::is_primary(std::size_t index) const {
  return contains(ask(*nodes_[index], {"INFO", "replication"}), "role:master");
}

std::size_t RedisCluster::owner_of(const std::string& key) const {
  std::string view, slot;
  for (const auto& node : nodes_) {
    if (!view.empty()) break;
    slot = ask(*node, {"CLUSTER", "KEYSLOT", key});
    view = ask(*node, {"CLUSTER", "SLOTS"});
  }
  // Each range is two numbers, and for each node host, port, id and an empty list of further names.
  std::istringstream lines(view);
  std::vector<std::string> words;
  for (std::string line; std::getline(lines, line);) words.push_back(line);
  for (std::size_t i = 0; i + 3 < words.size(); ++i) {
    if (words[i + 2] != "127.0.0.1") continue;
    if (words[i].empty() || words[i + 1].empty() || words[i].size() > 5 || words[i + 1].size() > 5) continue;
    const auto is_number = [](const std::string& text) { return text.find_first_not_of("0123456789") == text.npos; };
    if (!is_number(words[i]) || !is_number(words[i + 1])) continue;
    if (std::stoul(words[i]) > std::stoul(slot) || std::stoul(words[i + 1]) < std::stoul(slot)) continue;
    for (std::size_t node = 0; node < nodes_.size(); ++node) {
      if (std::to_string(nodes_[node]->port()) == words[i + 3]) return node;
    }
  }
  throw std::runtime_error("no node serves " + key + ":\n" + view);
}

std::size_t RedisCluster::add_node() {
  nodes_.push_back(start_node());
  meet(*nodes_.back());
  wait_joined();
  return nodes_.size() - 1;
}

void RedisCluster::move_slot(unsigned slot, std::size_t from, std::size_t to) {
  const std::string number = std::to_string(slot), source = id(from), target = id(to);
  RedisProcess& old_owner = *nodes_[from];
  RedisProcess& new_owner = *nodes_[to];
  require_ok(new_owner.command({"CLUSTER", "SETSLOT", number, "IMPORTING", source}), "IMPORTING");
  require_ok(old_owner.command({"CLUSTER", "SETSLOT", number, "MIGRATING", target}), "MIGRATING");
  for (;;) {
    const std::string key = old_owner.command({"CLUSTER", "GETKEYSINSLOT", number, "1"});
    if (key.empty()) break;
    const std::string moved =
        old_owner.command({"MIGRATE", "127.0.0.1", std::to_string(new_owner.port()), key, "0", "10000"});
    require(moved == "OK" || moved == "NOKEY", "MIGRATE: " + moved);
  }
  require_ok(new_owner.command({"CLUSTER", "SETSLOT", number, "NODE", target}), "NODE");
  require_ok(old_owner.command({"CLUSTER", "SETSLOT", number, "NODE", target}), "NODE");
}

void RedisCluster::wait_promoted(std::size_t index) const {
  const std::string promoted = id(index);
  require(eventually(
              kPatience,
              [&] {
                if (!is_primary(index)) return false;
                for (const auto& node : nodes_) {
                  const std::string info = ask(*node, {"CLUSTER", "INFO"});
                  if (!info.empty() && !contains(info, "cluster_state:ok")) return false;
                }
                return true;
              },
              5ms),
          "node " + std::to_string(index) + " is not promoted:\n" + nodes_[index]->log());
}

std::vector<std::string> RedisCluster::command_all(const std::vector<std::string>& words) const {
  std::vector<std::string> replies;
  for (const auto& node : nodes_) {
    if (node->pid() >= 0) replies.push_back(node->command(words));
  }
  return replies;
}

// ---- sentinels

RedisSentinels::RedisSentinels(std::vector<std::string> tls) : is_tls_(!tls.empty()) {
  const auto use_tls = [&tls](RedisOptions& options) {
    options.tls = tls;
    if (!tls.empty()) options.arguments.insert(options.arguments.end(), {"--tls-replication", "yes"});
  };
  for (int i = 0; i < 3; ++i) {
    RedisOptions options;
    options.tcp = true;
    options.arguments = {"--repl-diskless-sync-delay", "0"};
    use_tls(options);
    if (i > 0)
      options.arguments.insert(options.arguments.end(),
                               {"--replicaof", "127.0.0.1 " + std::to_string(servers_[0]->port())});
    servers_.push_back(std::make_unique<RedisProcess>(std::move(options)));
  }
  for (std::size_t i = 1; i < servers_.size(); ++i) {
    require(eventually(
                kPatience,
                [&] { return contains(ask(*servers_[i], {"INFO", "replication"}), "master_link_status:up"); }, 10ms),
            "a replica does not reach its primary:\n" + servers_[i]->log());
  }
  for (int i = 0; i < 3; ++i) {
    RedisOptions options;
    options.tcp = true;
    options.arguments = {"--sentinel"};
    use_tls(options);
    options.configuration = "sentinel monitor main 127.0.0.1 " + std::to_string(servers_[0]->port()) +
                            " 2\nsentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 3000\n";
    sentinels_.push_back(std::make_unique<RedisProcess>(std::move(options)));
  }
  for (const auto& sentinel : sentinels_) {
    require(eventually(
                kPatience,
                [&] {
                  const std::string primary = ask(*sentinel, {"SENTINEL", "MASTER", kName});
                  return contains(primary, "num-slaves\n2\n") && contains(primary, "num-other-sentinels\n2\n");
                },
                20ms),
            "a sentinel does not know the others:\n" + sentinel->log());
  }
}

std::string RedisSentinels::url() const {
  std::string hosts;
  for (const auto& sentinel : sentinels_) {
    hosts += (hosts.empty() ? "" : ",") + ("127.0.0.1:" + std::to_string(sentinel->port()));
  }
  return (is_tls_ ? "rediss+sentinel://" : "redis+sentinel://") + hosts + "/" + kName;
}

std::size_t RedisSentinels::primary(std::size_t asked) const {
  const std::string address = sentinels_[asked]->command({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", kName});
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (address == "127.0.0.1\n" + std::to_string(servers_[i]->port())) return i;
  }
  throw std::runtime_error("the sentinel names " + address);
}

}  // namespace pronghorn::test
