// Against a real cluster. Starting one takes two seconds, so each test has many sections' worth of checks.
#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "support/processes/redis_cluster.h"
#include "unit/worker/state/state_worker.h"
#include "worker/state/redis/run_script.h"
#include "worker/state/redis/slots/key_slot.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace std::chrono_literals;

namespace {

// A key in the given slot.
std::string key_in(unsigned slot, const std::string& prefix = "k") {
  for (int i = 0;; ++i) {
    const std::string tag = std::to_string(i);
    if (worker::key_slot(tag) == slot) return prefix + "{" + tag + "}";
  }
}

std::string what_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const RedisUnavailable& error) {
    return std::string("unavailable: ") + error.what();
  } catch (const RedisError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("commands reach the node of their keys in a cluster", "[redis][cluster]") {
  RedisCluster cluster({.node_timeout = 15s, .arguments = {}});
  StateWorker worker(config_for(cluster.url()));
  worker.ready();

  // Single commands, on all nodes.
  for (int i = 0; i < 60; ++i) {
    const std::string key = "key:" + std::to_string(i);
    CHECK(worker.command("SET", key, i).string() == "OK");
    CHECK(worker.command("GET", key).integer() == i);
  }
  std::size_t used = 0;
  for (std::size_t i = 0; i < 3; ++i) used += cluster.node(i).command({"DBSIZE"}) != "0" ? 1 : 0;
  CHECK(used == 3);

  // A pipeline over all of them: its replies are in order.
  std::vector<Command> commands;
  for (int i = 0; i < 60; ++i) commands.emplace_back("GET", "key:" + std::to_string(i));
  const auto replies = worker.run(worker.redis().pipeline(std::move(commands)));
  for (int i = 0; i < 60; ++i) CHECK(replies.at(static_cast<std::size_t>(i)).integer() == i);

  // Commands without keys.
  CHECK(worker.command("PING").string() == "PONG");
  CHECK(worker.command("CLIENT", "GETNAME").string() == "app:0");

  // Several keys of one slot, and of two.
  CHECK(worker.command("MSET", "{u7}:a", 1, "{u7}:b", 2).string() == "OK");
  CHECK(worker.command("MGET", "{u7}:a", "{u7}:b").array().at(1).integer() == 2);
  const std::string crossing = what_of([&] { worker.command("MGET", "{u7}:a", "{u8}:b"); });
  CHECK(crossing.find("{u7}:a") != std::string::npos);
  CHECK(crossing.find("{u8}:b") != std::string::npos);
  CHECK(crossing.find("hash tag") != std::string::npos);

  // Transactions go where their keys are, between other commands.
  commands.clear();
  commands.emplace_back("SET", "x", 1);
  commands.emplace_back("MULTI");
  commands.emplace_back("INCR", "{t}:n");
  commands.emplace_back("INCR", "{t}:n");
  commands.emplace_back("EXEC");
  commands.emplace_back("GET", "x");
  const auto mixed = worker.run(worker.redis().pipeline(std::move(commands)));
  CHECK(mixed.at(4).array().at(1).integer() == 2);
  CHECK(mixed.at(5).string() == "1");
  commands.clear();
  commands.emplace_back("MULTI");
  commands.emplace_back("SET", "{t}:a", 1);
  commands.emplace_back("SET", "{v}:b", 1);
  commands.emplace_back("EXEC");
  const std::string two = what_of([&] { worker.run(worker.redis().pipeline(std::move(commands))); });
  CHECK(two.find("{t}:a") != std::string::npos);
  CHECK(two.find("{v}:b") != std::string::npos);
  CHECK(worker.command("EXISTS", "{t}:a").integer() == 0);

  // Scripts are known per node.
  const Script script("return {KEYS[1], ARGV[1]}");
  for (int i = 0; i < 30; ++i) {
    const std::string key = "s:" + std::to_string(i);
    CHECK(worker.run(worker.redis().script(script, {key}, {"v"})).array().at(0).string() == key);
  }
  for (std::size_t i = 0; i < 3; ++i) CHECK(cluster.node(i).command({"SCRIPT", "EXISTS", script.sha1()}) == "1");
  cluster.command_all({"SCRIPT", "FLUSH"});
  CHECK(worker.run(worker.redis().script(script, {"s:1"}, {"w"})).array().at(1).string() == "w");
  CHECK((*worker.row)[Count::redis_errors].load() == 0);
}

namespace {

// Increments one key over and over, and notes what was acknowledged.
struct Load {
  struct Key {
    std::string name;
    std::int64_t acknowledged = 0;
    std::uint64_t failures = 0;
    std::uint64_t last_success_ns = 0;
  };
  explicit Load(Redis client) : redis(client) {}
  Redis redis;
  std::vector<std::unique_ptr<Key>> keys;
  std::vector<Task<void>> tasks;
  bool stopping = false;
  std::string first_failure;

  Task<void> count(Key& key) {
    while (!stopping) {
      bool failed = false;
      try {
        const Reply reply = co_await redis.command("INCR", key.name);
        key.acknowledged = reply.integer();
        key.last_success_ns = uv_hrtime();
      } catch (const RedisError& error) {
        if (key.failures++ == 0 && first_failure.empty()) first_failure = error.what();
        failed = true;
      }
      if (failed) co_await sleep_for(5ms);
    }
  }
  void add(std::string name) {
    Key& key = *keys.emplace_back(std::make_unique<Key>());
    key.name = std::move(name);
    tasks.push_back(count(key));
    tasks.back().start();
  }
  [[nodiscard]] std::uint64_t failures() const {
    std::uint64_t sum = 0;
    for (const auto& key : keys) sum += key->failures;
    return sum;
  }
  void stop(StateWorker& worker) {
    stopping = true;
    for (auto& task : tasks) worker.finish(task);
  }
};

}  // namespace

TEST_CASE("a hundred slots move under load without one error", "[redis][cluster]") {
  RedisCluster cluster({.node_timeout = 15s, .arguments = {}});
  StateWorker worker(config_for(cluster.url()));
  worker.ready();
  Load load(worker.redis());
  for (unsigned slot = 0; slot < 100; ++slot) load.add(key_in(slot));
  // Two keys of one slot, in scripts and in transactions, meet TRYAGAIN while one has moved.
  const Script script("return redis.call('INCR', KEYS[1]) + redis.call('INCR', KEYS[2])");
  std::vector<std::int64_t> sums;
  const auto both = [&]() -> Task<void> {
    while (!load.stopping) {
      for (unsigned slot = 0; slot < 100 && !load.stopping; slot += 9) {
        std::vector<std::string> keys{key_in(slot, "a"), key_in(slot, "b")};
        std::vector<Command> commands;
        commands.emplace_back("MULTI");
        for (const std::string& key : keys) commands.emplace_back("INCR", key);
        commands.emplace_back("EXEC");
        const auto replies = co_await load.redis.pipeline(std::move(commands));
        if (replies.at(3).is_array()) sums.push_back(replies.at(3).array().at(0).integer());
        const Reply sum = co_await load.redis.script(script, std::move(keys));
        sums.push_back(sum.integer());
      }
    }
  };
  load.tasks.push_back(both());
  load.tasks.back().start();
  for (unsigned slot = 0; slot < 100; ++slot) {
    worker.turn(5ms);
    cluster.move_slot(slot, 0, 1 + slot % 2);
  }
  worker.turn(100ms);
  load.stop(worker);
  CAPTURE(load.first_failure);
  CHECK(load.failures() == 0);
  CHECK((*worker.row)[Count::redis_errors].load() == 0);
  for (const auto& key : load.keys) CHECK(worker.command("GET", key->name).integer() == key->acknowledged);
  CHECK(cluster.owner_of(key_in(1)) == 2);
}

TEST_CASE("a primary that is killed under load is replaced, and nothing that was replicated is lost",
          "[redis][cluster]") {
  RedisCluster cluster({.arguments = {"--cluster-require-full-coverage", "no"}});
  StateWorker worker(config_for(cluster.url(), 500ms));
  worker.ready();
  const std::size_t victim = 0, heir = 3;
  // Sessions, which are written before and read after.
  std::map<std::string, std::string> sessions;
  for (int i = 0; i < 60; ++i) {
    Visit visit(worker);
    visit.session().set("user", "u" + std::to_string(i));
    sessions[visit.commit_id()] = "u" + std::to_string(i);
  }
  Load load(worker.redis());
  const std::vector<unsigned> slots{0, 1000, 2000, 3000, 4000, 5000, 6000, 9000, 12000, 16000};  // the victim's: six
  for (const unsigned slot : slots) load.add(key_in(slot));
  REQUIRE(
      worker.wait([&] { return std::ranges::all_of(load.keys, [](auto& key) { return key->acknowledged > 100; }); }));
  // The heir has what was acknowledged until now. What is acknowledged later may be lost.
  std::map<std::string, std::int64_t> replicated;
  for (const auto& key : load.keys) replicated[key->name] = key->acknowledged;
  const std::uint64_t offset = number_in(cluster.node(victim).command({"INFO", "replication"}), "master_repl_offset:");
  REQUIRE(worker.wait(
      [&] { return number_in(cluster.node(heir).command({"INFO", "replication"}), "slave_repl_offset:") >= offset; }));

  cluster.node(victim).kill();
  const std::uint64_t killed_ns = uv_hrtime();
  std::uint64_t decided_ns = 0;
  REQUIRE(worker.wait(
      [&] {
        if (decided_ns == 0 && cluster.is_primary(heir)) decided_ns = uv_hrtime();
        return decided_ns != 0;
      },
      60s));
  const auto writes_again = [&] {
    return std::ranges::all_of(load.keys, [&](auto& key) { return key->last_success_ns > decided_ns; });
  };
  REQUIRE(worker.wait(writes_again, 60s));
  std::uint64_t back_ns = 0;
  for (const auto& key : load.keys) back_ns = std::max(back_ns, key->last_success_ns);
  CHECK(back_ns - decided_ns < 5'000'000'000);
  INFO("decided " << (decided_ns - killed_ns) / 1'000'000 << " ms after the kill; writes back within "
                  << (back_ns - decided_ns) / 1'000'000 << " ms of it");
  // Keys of the other nodes have never failed.
  for (std::size_t i = 6; i < slots.size(); ++i) CHECK(load.keys[i]->failures == 0);
  load.stop(worker);
  for (const auto& [key, value] : replicated) CHECK(worker.command("GET", key).integer() >= value);
  for (const auto& [id, user] : sessions) {
    Visit visit(worker, id);
    CHECK(visit.session().get("user") == user);
  }
  CHECK(worker.state->redis_up());
  CHECK(worker.wait([&] { return worker.row->redis_state.load() == RedisState::up; }));
}

TEST_CASE("the map of a cluster is fetched without a storm while a node is lost", "[redis][cluster]") {
  RedisCluster cluster({.primaries = 3, .replicas = 0, .arguments = {"--cluster-require-full-coverage", "no"}});
  StateWorker worker(config_for(cluster.url(), 200ms));
  worker.ready();
  Load load(worker.redis());
  for (unsigned slot = 0; slot < 16'000; slot += 100) load.add(key_in(slot));
  worker.turn(100ms);
  const auto fetched = [&] {
    std::uint64_t sum = 0;
    for (const std::string& info : cluster.command_all({"INFO", "commandstats"})) {
      sum += number_in(info, "cmdstat_cluster|slots:calls=");
    }
    return sum;
  };
  cluster.node(0).kill();
  REQUIRE(worker.wait([&] { return load.failures() > 0; }));
  const std::uint64_t before = fetched(), began = uv_hrtime();
  worker.turn(3s);
  const auto seconds = (uv_hrtime() - began) / 1'000'000'000 + 1;
  CHECK(load.failures() > 1000);  // each of which would ask for the map
  CHECK(fetched() - before > 0);
  CHECK(fetched() - before <= 4 + 2 * seconds);
  load.stop(worker);
}

TEST_CASE("a node that joins a cluster gets commands once it serves slots", "[redis][cluster]") {
  RedisCluster cluster({.replicas = 0, .node_timeout = 15s, .arguments = {}});
  StateWorker worker(config_for(cluster.url()));
  worker.ready();
  Load load(worker.redis());
  for (unsigned slot = 0; slot < 10; ++slot) load.add(key_in(slot));
  const std::size_t added = cluster.add_node();
  for (unsigned slot = 0; slot < 10; ++slot) cluster.move_slot(slot, 0, added);
  REQUIRE(worker.wait([&] { return cluster.node(added).command({"DBSIZE"}) == "10"; }));
  worker.turn(200ms);
  load.stop(worker);
  CAPTURE(load.first_failure);
  CHECK(load.failures() == 0);
  for (const auto& key : load.keys)
    CHECK(cluster.node(added).command({"GET", key->name}) == std::to_string(key->acknowledged));
}

TEST_CASE("a node that does not know all of the cluster is believed less than the others", "[redis][cluster]") {
  RedisCluster cluster({.replicas = 0, .node_timeout = 15s, .arguments = {"--cluster-require-full-coverage", "no"}});
  StateWorker worker(config_for(cluster.url()));
  worker.ready();
  Load load(worker.redis());
  for (unsigned slot = 0; slot < 16'000; slot += 1'000) load.add(key_in(slot));
  CHECK(cluster.node(1).command({"CLUSTER", "FORGET", cluster.id(0)}) == "OK");
  // Each time the map is fetched again, from any node.
  const unsigned slot = 16'000;
  load.add(key_in(slot));
  for (std::size_t i = 0; i < 20; ++i) {
    cluster.move_slot(slot, 1 + (i + 1) % 2, 1 + i % 2);
    worker.turn(150ms);
  }
  load.stop(worker);
  CAPTURE(load.first_failure);
  CHECK(load.failures() == 0);
  for (int i = 0; i < 5; ++i) {
    StateWorker another(config_for(cluster.url()));
    another.ready();
    CHECK(another.command("GET", key_in(0)).integer() == load.keys[0]->acknowledged);
  }
}

TEST_CASE("reads that may be stale go to a replica, and writes to the primary", "[redis][cluster]") {
  RedisCluster cluster({.arguments = {}});
  constexpr std::size_t kPrimary = 1, kReplica = 4;  // of the slot of "k", 7629
  StateWorker worker(config_for(cluster.url()));
  worker.ready();
  Redis stale = worker.redis().prefer_replica();
  CHECK(worker.run(stale.command("SET", "k", "v")).string() == "OK");
  const auto reads = [&](std::size_t node) {
    return number_in(cluster.node(node).command({"INFO", "commandstats"}), "cmdstat_get:calls=");
  };
  // The replica has to be in the cluster's map, and to have the data: both take Redis some seconds.
  const auto replica_answers = [&] {
    try {
      const Reply value = worker.run(stale.command("GET", "k"));
      return value.is_string() && reads(kReplica) > 0;
    } catch (const RedisUnavailable&) {
      return false;
    }
  };
  REQUIRE(worker.wait(replica_answers, 30s));
  const std::uint64_t primary_before = reads(kPrimary), replica_before = reads(kReplica);
  for (int i = 0; i < 10; ++i) CHECK(worker.run(stale.command("GET", "k")).string() == "v");
  CHECK(reads(kPrimary) == primary_before);
  CHECK(reads(kReplica) == replica_before + 10);
  // A replica that does not know who serves the other slots refuses every command.
  CHECK(cluster.node(kReplica).command({"CLUSTER", "FORGET", cluster.id(0)}) == "OK");
  REQUIRE(worker.wait([&] { return cluster.node(kReplica).command({"GET", "k"}).starts_with("-CLUSTERDOWN"); }));
  CHECK(worker.run(stale.command("GET", "k")).string() == "v");
  cluster.node(kReplica).kill();
  REQUIRE(worker.wait([&] {
    try {
      return worker.run(stale.command("GET", "k")).string() == "v";
    } catch (const RedisUnavailable&) {  // what was in flight
      return false;
    }
  }));
  CHECK(reads(kPrimary) > primary_before);
}

TEST_CASE("a cluster and a server are each refused where the other is configured", "[redis][cluster]") {
  RedisProcess server({.password = {}, .tcp = true, .arguments = {}});
  StateWorker worker("redis+cluster://127.0.0.1:" + std::to_string(server.port()));
  worker.start();
  REQUIRE(worker.wait([&] { return !worker.fatal.empty(); }));
  CHECK(worker.fatal.find("use redis:// instead") != std::string::npos);
}

TEST_CASE("a cluster of which no node can be reached is down, and commands fail at once", "[redis][cluster]") {
  StateWorker worker(config_for("redis+cluster://127.0.0.1:1,127.0.0.1:2", 200ms));
  worker.start();
  CHECK_THROWS_AS(worker.command("GET", "k"), RedisUnavailable);
  REQUIRE(worker.wait([&] { return worker.row->redis_state.load() == RedisState::down; }));
  CHECK(worker.row->redis_error.get().find("127.0.0.1:") != std::string::npos);
  CHECK_FALSE(worker.state->redis_up());
  Task<Reply> get = worker.redis().command("GET", "k");
  get.start();
  CHECK(get.done());
  CHECK_THROWS_AS(get.take(), RedisUnavailable);
}
