#include <filesystem>
#include <vector>

#include "support/log_lines.h"
#include "support/processes/redis_refusals.h"
#include "unit/worker/state/sessions/stored_session.h"
#include "worker/state/redis/protocol/reply_errors.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

std::string client_id(StateWorker& worker) { return std::to_string(worker.command("CLIENT", "ID").integer()); }

}  // namespace

// A Redis that had become a replica refused the renewal of the time to live, so reads of sessions failed too; each such
// reply also broke the connection, which came back at once.
TEST_CASE("while Redis refuses writes, sessions are read over the same connection", "[redis][session]") {
  const RedisRefusal no_permission{
      "NOPERM", {"ACL", "SETUSER", "default", "-hset"}, {"ACL", "SETUSER", "default", "+hset"}};
  const RedisRefusal refusal = GENERATE_COPY(as<RedisRefusal>(), kReplica, kNoMemory, kNoReplicas, no_permission);
  CAPTURE(refusal.code);
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  redis.command({"HSET", key_of(id), "_pronghorn.sent", "1000"});  // its cookie should be sent again
  const std::string connection = client_id(worker);
  REQUIRE(redis.command(refusal.begin) == "OK");

  Visit writing(worker, id);
  writing.session().set("theme", "dark");
  CHECK_THROWS_AS(writing.commit(), RedisUnavailable);
  REQUIRE(worker.wait([&] { return !worker.state->redis_up(); }));
  CHECK(worker.row->redis_state.load() == RedisState::down);
  CHECK(worker::error_code(worker.row->redis_error.get()) == refusal.code);
  for (int i = 0; i < 3; ++i) {
    Visit reading(worker, id);
    CHECK(reading.session().get("user") == "ann");
    CHECK(reading.commit().empty());
  }
  CHECK(client_id(worker) == connection);

  REQUIRE(redis.command(refusal.end) == "OK");
  REQUIRE(worker.wait([&] { return worker.state->redis_up(); }));
  CHECK(worker.row->redis_state.load() == RedisState::up);
  CHECK(worker.row->redis_error.get().empty());
  Visit again(worker, id);
  again.session().set("theme", "dark");
  CHECK(again.commit_id() == id);
}

TEST_CASE("a Redis that refuses writes when the worker connects is not up", "[redis]") {
  RedisProcess redis;
  REQUIRE(redis.command({"REPLICAOF", "127.0.0.1", "1"}) == "OK");
  StateWorker worker(redis.url());
  worker.start();
  REQUIRE(worker.wait([&] { return worker.row->redis_state.load() == RedisState::down; }));
  CHECK_FALSE(worker.state->redis_up());
  CHECK(worker.command("GET", "k").is_nil());
}

TEST_CASE("the connection to a replica is replaced without failing a read", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string before = client_id(worker);
  REQUIRE(redis.command({"REPLICAOF", "127.0.0.1", "1"}) == "OK");
  CHECK_THROWS_AS(worker.command("SET", "k", "v"), RedisUnavailable);
  CHECK(worker.wait([&] { return client_id(worker) != before; }, 20s));  // the address may lead to the primary now
  CHECK_FALSE(worker.state->redis_up());
}

TEST_CASE("a command that only this user may not run does not count as refused writes", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  redis.command({"ACL", "SETUSER", "default", "-lpush"});
  CHECK_THROWS_AS(worker.command("LPUSH", "list", "a"), RedisError);
  worker.turn(1500ms);  // a trial write has been made meanwhile
  CHECK(worker.state->redis_up());
  CHECK(worker.row->redis_state.load() == RedisState::up);
}

// A cache that stores nothing, or jobs that wait, were all that could be seen of it.
TEST_CASE("a command that this user may not run is logged once, whoever has sent it", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const LogLines log;
  redis.command({"ACL", "SETUSER", "default", "-lpush", "-pttl"});
  for (int i = 0; i < 3; ++i) {
    CHECK_THROWS_AS(worker.command("LPUSH", "list", "a"), RedisError);
    CHECK_THROWS_AS(worker.command("EVAL", "return redis.call('PTTL', 'a')", "0"), RedisError);
  }
  CHECK(log.with("does not permit a command") == 2);
  CHECK(log.with("lpush") == 1);
}

// A full disk was only visible in the log of Redis.
TEST_CASE("a Redis that cannot save to disk refuses writes and answers reads until it can save", "[redis]") {
  const TempDir gone;
  std::filesystem::create_directory(gone / "d");
  const RedisProcess redis({.password = {}, .tcp = false, .arguments = {"--dir", gone / "d", "--save", "3600 1000"}});
  StateWorker worker(redis.url());
  worker.ready();
  CHECK(worker.command("SET", "k", "v").string() == "OK");
  std::filesystem::remove(gone / "d");
  (void)redis.command({"BGSAVE"});
  REQUIRE(eventually(10s, [&] { return redis.command({"PING"}).starts_with("-MISCONF"); }));

  CHECK_THROWS_AS(worker.command("SET", "k", "w"), RedisError);
  CHECK(worker.command("GET", "k").string() == "v");
  CHECK(worker.wait([&] { return worker.row->redis_state.load() == RedisState::down; }));
  CHECK_FALSE(worker.state->redis_up());

  REQUIRE(redis.command({"CONFIG", "SET", "stop-writes-on-bgsave-error", "no"}) == "OK");
  CHECK(worker.wait([&] { return worker.row->redis_state.load() == RedisState::up; }));
  CHECK(worker.state->redis_up());
}
