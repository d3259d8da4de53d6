// Commands that wait in Redis, such as BLPOP.
#include <optional>

#include "support/processes/redis_cluster.h"
#include "unit/worker/state/state_worker.h"
#include "worker/state/redis/own_connections.h"
#include "worker/state/redis/slots/key_slot.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

std::size_t waiting_clients(const RedisProcess& redis, const std::string& state = "") {
  const std::string list = redis.command({"CLIENT", "LIST"});
  std::size_t count = 0;
  for (std::size_t at = 0; (at = list.find("name=app:0:waiting", at)) != std::string::npos; ++at) {
    const std::string line = list.substr(at, list.find('\n', at) - at);
    count += line.find(state) != std::string::npos ? 1 : 0;
  }
  return count;
}

bool has_blocked(StateWorker& worker, const RedisProcess& redis) {
  return worker.wait([&redis] { return waiting_clients(redis, " flags=b") == 1; });
}

}  // namespace

TEST_CASE("a command that waits in Redis holds up no other command", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  for (const std::string value : {"first", "second"}) {
    Task<Reply> pop = worker.redis().command("BLPOP", "list", "other", 0);
    pop.start();
    REQUIRE(has_blocked(worker, redis));
    CHECK(worker.command("PING").string() == "PONG");
    CHECK_FALSE(pop.done());
    redis.command({"RPUSH", "other", value});
    const Reply popped = worker.finish(pop);
    REQUIRE(popped.is_array());
    CHECK(popped.array()[0].string() == "other");
    CHECK(popped.array()[1].string() == value);
    CHECK(waiting_clients(redis) == 1);  // the connection is kept
  }
  CHECK(worker.command("BLPOP", "list", "0.05").is_nil());
  CHECK(worker.command("xread", "count", 1, "block", 20, "streams", "s", "$").is_nil());
  CHECK(worker.command("BLMPOP", "0.01", 1, "list", "LEFT").is_nil());
  CHECK_THROWS_AS(worker.command("BLPOP", "list", "soon"), RedisError);
  CHECK_THROWS_AS(worker.command("BLPOP", "list", -1), RedisError);
}

TEST_CASE("commands that wait at the same time have a connection each", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  std::vector<Task<Reply>> pops;
  for (int i = 0; i < 12; ++i) pops.push_back(worker.redis().command("BLPOP", "list", 0));
  worker.make_current();
  for (Task<Reply>& pop : pops) pop.start();
  REQUIRE(worker.wait([&redis] { return waiting_clients(redis, " flags=b") == 12; }));
  for (int i = 0; i < 12; ++i) redis.command({"RPUSH", "list", std::to_string(i)});
  for (Task<Reply>& pop : pops) CHECK(worker.finish(pop).is_array());
  CHECK(worker.wait([&redis] { return waiting_clients(redis) == worker::OwnConnections::kMaxIdle; }));
}

TEST_CASE("whoever no longer waits takes nothing out of Redis", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  SECTION("because the coroutine was destroyed") {
    std::optional<Task<Reply>> pop(worker.redis().command("BLPOP", "list", 0));
    pop->start();
    REQUIRE(has_blocked(worker, redis));
    pop.reset();
  }
  SECTION("because its deadline has passed") {
    const auto until = std::chrono::steady_clock::now() + 300ms;
    CHECK_THROWS_AS(worker.run(worker.redis().until(until).command("BLPOP", "list", 0)), RedisUnavailable);
  }
  REQUIRE(worker.wait([&redis] { return waiting_clients(redis) == 0; }));
  redis.command({"RPUSH", "list", "value"});
  CHECK(redis.command({"LLEN", "list"}) == "1");
}

TEST_CASE("a command that waits fails when its server is lost, and when the worker stops", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Task<Reply> pop = worker.redis().command("BLPOP", "list", 0);
  pop.start();
  REQUIRE(has_blocked(worker, redis));
  SECTION("the server is lost") { redis.kill(); }
  SECTION("an idle connection is closed by the server, too") {
    redis.command({"RPUSH", "list", "value"});
    CHECK(worker.finish(pop).is_array());
    redis.command({"CLIENT", "KILL", "TYPE", "normal"});
    REQUIRE(worker.wait([&] {
      try {
        return worker.command("BLPOP", "none", "0.01").is_nil();
      } catch (const RedisUnavailable&) {  // on a connection whose end is not noticed yet
        return false;
      }
    }));
    pop = worker.redis().command("BLPOP", "list", 0);
    pop.start();
    REQUIRE(has_blocked(worker, redis));
    worker.state->close();
  }
  CHECK_THROWS_AS(worker.finish(pop), RedisUnavailable);
}

TEST_CASE("in a cluster a command waits at the node of its key", "[redis][cluster]") {
  RedisCluster cluster({.replicas = 0, .node_timeout = 15s, .arguments = {}});
  StateWorker worker(config_for(cluster.url()));
  worker.ready();
  for (const std::string key : {"a", "b", "c", "d"}) {
    Task<Reply> pop = worker.redis().command("BLPOP", key, 0);
    pop.start();
    REQUIRE(has_blocked(worker, cluster.node(cluster.owner_of(key))));
    CHECK(worker.command("RPUSH", key, "value").integer() == 1);
    CHECK(worker.finish(pop).array()[1].string() == "value");
  }
  CHECK_THROWS_AS(worker.command("BLPOP", "a", "b", 0), RedisError);
}

TEST_CASE("the time that a command waits can be changed", "[redis]") {
  const auto changed = [](const Command& command) {
    const Command other = worker::with_waiting_time(command, 1'250ms);
    std::string text;
    for (const std::string& word : other.words()) text += word + " ";
    return text;
  };
  CHECK(changed(Command("BLPOP", "a", "b", 5)) == "BLPOP a b 1.25 ");
  CHECK(changed(Command("blmpop", "2.5", 1, "a", "LEFT")) == "blmpop 1.25 1 a LEFT ");
  CHECK(changed(Command("XREAD", "COUNT", 1, "BLOCK", 5000, "STREAMS", "s", "$")) ==
        "XREAD COUNT 1 BLOCK 1250 STREAMS s $ ");
}

TEST_CASE("a command that waits follows its key to another node of a cluster", "[redis][cluster]") {
  RedisCluster cluster({.replicas = 0, .node_timeout = 15s, .arguments = {}});
  StateWorker worker(config_for(cluster.url()));
  worker.ready();
  const std::string key = "list";
  const unsigned slot = worker::key_slot(key);
  const std::size_t from = cluster.owner_of(key), to = (from + 1) % 3;
  const std::string number = std::to_string(slot);
  CHECK(worker.command("RPUSH", key, "first", "second").integer() == 2);

  SECTION("when the slot has moved") {
    cluster.move_slot(slot, from, to);
    CHECK(worker.command("BLPOP", key, 1).array().at(1).string() == "first");
    CHECK(worker.command("BLPOP", key, 1).array().at(1).string() == "second");
    CHECK(worker.command("BLPOP", key, "0.01").is_nil());
  }
  SECTION("while the slot is moving") {
    cluster.node(to).command({"CLUSTER", "SETSLOT", number, "IMPORTING", cluster.id(from)});
    cluster.node(from).command({"CLUSTER", "SETSLOT", number, "MIGRATING", cluster.id(to)});
    CHECK(cluster.node(from).command(
              {"MIGRATE", "127.0.0.1", std::to_string(cluster.node(to).port()), key, "0", "10000"}) == "OK");
    CHECK(worker.command("BLPOP", key, 1).array().at(1).string() == "first");
    // Two keys, of which one is nowhere: Redis does not say so before all is at its place.
    Task<Reply> pop = worker.redis().command("BLPOP", "{list}2", key, 1);
    pop.start();
    worker.turn(50ms);
    cluster.move_slot(slot, from, to);
    CHECK(worker.finish(pop).array().at(1).string() == "second");
  }
  SECTION("when the slot moves while it waits") {
    CHECK(worker.command("DEL", key).integer() == 1);
    Task<Reply> pop = worker.redis().command("BLPOP", key, 0);
    pop.start();
    REQUIRE(has_blocked(worker, cluster.node(from)));
    cluster.move_slot(slot, from, to);
    REQUIRE(has_blocked(worker, cluster.node(to)));
    cluster.node(to).command({"RPUSH", key, "third"});
    CHECK(worker.finish(pop).array().at(1).string() == "third");
  }
  CHECK((*worker.row)[Count::redis_errors].load() == 0);
}
