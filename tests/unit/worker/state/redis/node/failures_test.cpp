// What the table in docs/state.md says of a Redis that is there and does not serve as it should.
#include <sys/socket.h>

#include <thread>
#include <vector>

#include "support/processes/redis_cluster.h"
#include "unit/worker/state/sessions/stored_session.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

std::string url_of(const RedisProcess& redis) { return "redis://127.0.0.1:" + std::to_string(redis.port()); }

}  // namespace

TEST_CASE("a slow Redis is waited for", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  for (int i = 0; i < 3; ++i) {
    REQUIRE(redis.command({"CLIENT", "PAUSE", "200", "ALL"}) == "OK");
    CHECK(worker.command("SET", "k", i).string() == "OK");
  }
  CHECK(worker.state->redis_up());
  CHECK((*worker.row)[Count::redis_errors].load() == 0);
}

TEST_CASE("a command waits no longer than what is left to the request", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  REQUIRE(redis.command({"CLIENT", "PAUSE", "1500", "ALL"}) == "OK");
  const auto deadline = std::chrono::steady_clock::now() + 50ms;
  Task<Reply> hurried = worker.redis().until(deadline).command("GET", "k");
  Task<Reply> patient = worker.redis().command("GET", "k");
  hurried.start();
  patient.start();
  CHECK_THROWS_AS(worker.finish(hurried), RedisUnavailable);
  CHECK(std::chrono::steady_clock::now() >= deadline);
  CHECK_FALSE(patient.done());
  CHECK(worker.finish(patient).is_nil());
  // A deadline that has passed already, and one that is far away.
  CHECK_THROWS_AS(worker.run(worker.redis().until(deadline).command("GET", "k")), RedisUnavailable);
  CHECK(worker.run(worker.redis().until(deadline + 1h).command("GET", "k")).is_nil());
}

TEST_CASE("a Redis that loads its data is unavailable, and serves when it has loaded them", "[redis]") {
  RedisProcess redis({.password = {}, .tcp = false, .arguments = {"--enable-debug-command", "yes"}});
  redis.command({"DEBUG", "POPULATE", "2000"});
  StateWorker worker(redis.url());
  worker.ready();
  redis.command({"CONFIG", "SET", "key-load-delay", "1000"});  // µs: two seconds for all
  redis.command({"CONFIG", "SET", "loading-process-events-interval-bytes", "1024"});
  std::thread reload([&redis] { redis.command({"DEBUG", "RELOAD"}); });  // a connection of its own is busy with it
  bool was_loading = false;
  REQUIRE(worker.wait(
      [&] {
        try {
          worker.command("SET", "k", "v");
        } catch (const RedisUnavailable& error) {
          was_loading |= std::string_view(error.what()).find("LOADING") != std::string_view::npos;
        }
        return was_loading;
      },
      30s));
  REQUIRE(worker.wait(
      [&] {
        try {
          return worker.command("SET", "k", "v").string() == "OK" && worker.state->redis_up();
        } catch (const RedisUnavailable&) {
          return false;
        }
      },
      60s));
  reload.join();
}

TEST_CASE("a Redis that accepts no more clients is unavailable until it does", "[redis]") {
  RedisProcess redis({.password = {}, .tcp = true, .arguments = {"--maxclients", "2"}});
  StateWorker first(url_of(redis));
  first.ready();
  StateWorker second(url_of(redis));
  second.ready();
  StateWorker third(config_for(url_of(redis), 300ms));
  third.start();
  REQUIRE(third.wait([&] { return third.row->redis_state.load() == RedisState::down; }));
  CHECK(third.row->redis_error.get().find("max number of clients") != std::string::npos);
  CHECK(third.fatal.empty());
  CHECK_THROWS_AS(third.command("GET", "k"), RedisUnavailable);
  CHECK(first.command("CONFIG", "SET", "maxclients", 100).string() == "OK");
  REQUIRE(third.wait([&] { return third.state->redis_up(); }));
}

TEST_CASE("a password that is set while the server runs makes Redis unavailable, not the worker", "[redis]") {
  RedisProcess redis({.password = {}, .tcp = true, .arguments = {}});
  StateWorker worker(url_of(redis));
  worker.ready();
  worker.command("CONFIG", "SET", "requirepass", "secret");
  Task<Reply> kill = worker.redis().command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no");
  kill.start();
  REQUIRE(worker.wait([&] { return worker.row->redis_error.get().find("requires a password") != std::string::npos; }));
  CHECK_THROWS_AS(worker.command("GET", "k"), RedisUnavailable);
  CHECK(worker.fatal.empty());
}

TEST_CASE("a key of a session that holds something else is an error of that session alone", "[redis][session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker), other = new_session(worker);
  redis.command({"SET", key_of(id), "a string"});
  Visit visit(worker, id);
  try {
    (void)visit.session();
    FAIL("a session was made of a string");
  } catch (const RedisUnavailable&) {
    FAIL("Redis is available");
  } catch (const RedisError& error) {
    const std::string_view text = error.what();
    CHECK(text.starts_with("WRONGTYPE"));
    CHECK(text.find("(key app:s:{" + id.substr(0, 8) + "*)") != std::string_view::npos);
    CHECK(text.find(id) == std::string_view::npos);  // it is a secret
  }
  Visit fine(worker, other);
  CHECK(fine.session().get("user") == "ann");
  CHECK(worker.state->redis_up());
}

TEST_CASE("the error of a command whose key holds something else names the key", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  worker.command("SET", "a{1}", "text");
  const auto why = [&](Task<Reply> running) {
    try {
      (void)worker.run(std::move(running));
    } catch (const RedisError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const Script script("return redis.call('LPUSH', KEYS[1], 'x')");
  CHECK(why(worker.redis().command("LPUSH", "a{1}", "x")).find("(key a{1})") != std::string::npos);
  CHECK(why(worker.redis().command("SUNION", "b{1}", "a{1}")).find("(one of b{1}, a{1})") != std::string::npos);
  CHECK(why(worker.redis().command("BLPOP", "a{1}", "1")).find("(key a{1})") != std::string::npos);
  for (int i = 0; i < 2; ++i) {  // with EVAL, then with EVALSHA
    CHECK(why(worker.redis().script(script, {"a{1}"}, {})).find("(key a{1})") != std::string::npos);
  }
  std::vector<Command> commands;
  commands.emplace_back("GET", "a{1}");
  commands.emplace_back("LPUSH", "a{1}", "x");
  const std::vector<Reply> replies = worker.run(worker.redis().pipeline(std::move(commands)));
  CHECK(replies[1].error().find("(key a{1})") != std::string::npos);
}

TEST_CASE("a transaction and a pipeline carry their scripts whole, whatever Redis remembers", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Script script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
  for (int i = 1; i <= 2; ++i) {
    std::vector<Command> commands;
    commands.emplace_back("MULTI");
    commands.push_back(script.command({"n"}, {"5"}));
    commands.push_back(script.command({"n"}, {"5"}));
    commands.emplace_back("EXEC");
    const auto replies = worker.run(worker.redis().pipeline(std::move(commands)));
    CHECK(replies.at(3).array().at(1).integer() == 10 * i);
    redis.command({"SCRIPT", "FLUSH"});
  }
}

TEST_CASE("the usual commands have functions of their own", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Redis handle = worker.redis();
  CHECK_FALSE(worker.run(handle.get("k")));
  worker.run(handle.set("k", "v"));
  CHECK(worker.run(handle.get("k")) == "v");
  worker.run(handle.set("t", "v", 1min));
  CHECK(std::stoll(redis.command({"PTTL", "t"})) > 50'000);
  CHECK_THROWS_AS(handle.set("t", "v", 0ms), std::invalid_argument);
  CHECK_FALSE(worker.run(handle.set_if_absent("t", "w", 1min)));
  CHECK(worker.run(handle.set_if_absent("u", "w", 1min)));
  CHECK(worker.run(handle.exists("u")));
  CHECK(worker.run(handle.del("u")));
  CHECK_FALSE(worker.run(handle.del("u")));
  CHECK(worker.run(handle.incr("n")) == 1);
  CHECK(worker.run(handle.incr("n", -5)) == -4);
  CHECK(worker.run(handle.expire("n", 1min)));
  CHECK_FALSE(worker.run(handle.expire("absent", 1min)));
  worker.run(handle.hset("h", "f", "1"));
  CHECK(worker.run(handle.hget("h", "f")) == "1");
  CHECK_FALSE(worker.run(handle.hget("h", "g")));
  CHECK(worker.run(handle.hincr("h", "f", 2)) == 3);
  CHECK(worker.run(handle.hget_all("h")) == std::vector<std::pair<std::string, std::string>>{{"f", "3"}});
  CHECK(worker.run(handle.hdel("h", "f")));
  CHECK_FALSE(worker.run(handle.hdel("h", "f")));
  CHECK_THROWS_AS(worker.run(handle.incr("k")), RedisError);
}

TEST_CASE("the status tells the state and the circuit of each server", "[redis][circuit]") {
  RedisProcess redis;
  StateWorker worker(config_for(redis.url(), 300ms));
  worker.ready();
  const RedisNodeRow& node = worker.row->redis_nodes[0];
  CHECK(node.address.get() == redis.url());
  CHECK(node.state.load() == RedisState::up);
  CHECK(node.circuit.load() == RedisCircuit::closed);
  CHECK(worker.row->redis_nodes[1].address.get().empty());
  redis.kill();
  REQUIRE(worker.wait([&] { return node.circuit.load() != RedisCircuit::closed; }));
  CHECK(node.state.load() == RedisState::down);
  CHECK((*worker.row)[Count::redis_circuits_open].load() == 1);
  redis.restart();
  REQUIRE(worker.wait([&] { return node.circuit.load() == RedisCircuit::closed; }));
  CHECK((*worker.row)[Count::redis_circuits_open].load() == 0);
}
