#include <vector>

#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

Task<void> increment_into(Redis redis, std::string key, std::vector<std::int64_t>& results) {
  const Reply reply = co_await redis.command("INCR", key);
  results.push_back(reply.integer());
}

Task<void> ping_then_ping(Redis redis, int& answers) {
  co_await redis.command("PING");
  ++answers;
  co_await redis.command("PING");
  ++answers;
}

}  // namespace

TEST_CASE("commands of one turn of the loop are answered in order", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  std::vector<std::int64_t> results;
  std::vector<Task<void>> tasks;
  for (int i = 0; i < 5000; ++i) {
    tasks.push_back(increment_into(worker.redis(), "n", results));
    tasks.back().start();
  }
  CHECK(worker.wait([&results] { return results.size() == 5000; }));
  for (std::size_t i = 0; i < results.size(); ++i) REQUIRE(results[i] == static_cast<std::int64_t>(i + 1));
}

TEST_CASE("a command that Redis does not answer in time fails, and its late reply reaches nobody", "[redis]") {
  RedisProcess redis;
  StateWorker worker(config_for(redis.url(), 600ms));
  worker.ready();
  worker.command("SET", "k", "old");
  REQUIRE(redis.command({"CLIENT", "PAUSE", "800", "ALL"}) == "OK");
  CHECK_THROWS_AS(worker.command("GET", "k"), RedisUnavailable);
  CHECK((*worker.row)[Count::redis_errors].load() == 1);
  // The pause ends before the connection is given up; the reply to GET is discarded.
  CHECK(worker.command("ECHO", "mine").string() == "mine");
  CHECK(worker.state->redis_up());
  // The next one has its own deadline again.
  REQUIRE(redis.command({"CLIENT", "PAUSE", "800", "ALL"}) == "OK");
  CHECK_THROWS_AS(worker.command("GET", "k"), RedisUnavailable);
  CHECK(worker.state->redis_up());
}

TEST_CASE("the connection to a silent Redis is dropped, and made again when Redis answers", "[redis]") {
  RedisProcess redis;
  StateWorker worker(config_for(redis.url(), 100ms));
  worker.ready();
  ::kill(redis.pid(), SIGSTOP);
  CHECK_THROWS_AS(worker.command("PING"), RedisUnavailable);
  CHECK(worker.wait([&worker] { return !worker.state->redis_up(); }));
  CHECK(worker.row->redis_state.load() == RedisState::down);
  Task<Reply> ping = worker.redis().command("PING");
  ping.start();
  CHECK(ping.done());  // at once, without waiting for anything
  CHECK_THROWS_AS(ping.take(), RedisUnavailable);
  ::kill(redis.pid(), SIGCONT);
  CHECK(worker.wait([&worker] { return worker.state->redis_up(); }));
  CHECK(worker.command("PING").string() == "PONG");
}

TEST_CASE("a handler that blocks the loop does not cause timeouts of Redis", "[redis]") {
  RedisProcess redis;
  StateWorker worker(config_for(redis.url(), 100ms));
  worker.ready();
  ::kill(redis.pid(), SIGSTOP);
  Task<Reply> ping = worker.redis().command("PING");
  ping.start();
  uv_run(worker.loop(), UV_RUN_NOWAIT);  // sends it
  ::kill(redis.pid(), SIGCONT);
  ::usleep(200'000);        // what the handler does
  redis.command({"PING"});  // ours, which came before, is answered too
  CHECK(worker.finish(ping).string() == "PONG");
}

TEST_CASE("the reply to a destroyed coroutine is dropped, and the others get theirs", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  auto first = std::make_unique<Task<Reply>>(worker.redis().command("ECHO", "first"));
  Task<Reply> second = worker.redis().command("ECHO", "second");
  first->start();
  second.start();
  first.reset();
  CHECK(worker.finish(second).string() == "second");
}

TEST_CASE("a resumed coroutine may destroy another that is about to be resumed", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Task<Reply> victim = worker.redis().command("ECHO", "victim");
  const auto murder = [](Redis client, Task<Reply>& other) -> Task<void> {
    co_await client.command("PING");
    other.reset();
    co_await client.command("PING");
  };
  Task<void> murderer = murder(worker.redis(), victim);
  murderer.start();
  victim.start();
  worker.finish(murderer);
  CHECK_FALSE(victim.valid());
}

TEST_CASE("commands in flight fail when the services are closed", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  int answers = 0;
  Task<void> task = ping_then_ping(worker.redis(), answers);
  task.start();
  worker.state->close();
  CHECK(task.done());
  CHECK_THROWS_AS(task.take(), RedisUnavailable);
  CHECK_THROWS_AS(worker.command("PING"), RedisUnavailable);
}

TEST_CASE("connections to Redis carry the name of the application and the slot of the worker", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  CHECK(worker.command("CLIENT", "GETNAME").string() == "app:0");
  CHECK(worker.state->redis->link_settings("events").client_name == "app:0:events");
}
