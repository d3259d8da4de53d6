#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

TEST_CASE("a wrong password ends the start with a line that does not contain it", "[redis]") {
  RedisOptions options;
  options.password = "right";
  options.tcp = true;
  RedisProcess redis(options);
  const std::string server = "127.0.0.1:" + std::to_string(redis.port());
  SECTION("another password") {
    StateWorker worker("redis://someone:wrong-secret@" + server);
    worker.start();
    CHECK(worker.wait([&worker] { return !worker.fatal.empty(); }));
    CHECK(worker.fatal.find("someone@" + server) != std::string::npos);
    CHECK(worker.fatal.find("wrong-secret") == std::string::npos);
    CHECK_THROWS_AS(worker.command("PING"), RedisUnavailable);
  }
  SECTION("no password") {
    StateWorker worker("redis://" + server);
    worker.start();
    CHECK(worker.wait([&worker] { return !worker.fatal.empty(); }));
    CHECK(worker.fatal.find(server) != std::string::npos);
  }
  SECTION("one that the server does not have") {
    RedisProcess open({.password = {}, .tcp = true, .arguments = {}});
    StateWorker worker("redis://:wrong-secret@127.0.0.1:" + std::to_string(open.port()));
    worker.start();
    CHECK(worker.wait([&worker] { return !worker.fatal.empty(); }));
    CHECK(worker.fatal.ends_with("has no password: leave out the one of the option redis"));
  }
  SECTION("no such database") {
    StateWorker worker(redis.tcp_url() + "/9999");
    worker.start();
    CHECK(worker.wait([&worker] { return !worker.fatal.empty(); }));
    CHECK(worker.fatal.find("9999") != std::string::npos);
  }
  SECTION("the right one") {
    StateWorker worker(redis.tcp_url() + "/3");
    worker.ready();
    worker.command("SET", "where", "db3");
    CHECK(redis.command({"GET", "where"}) == "(nil)");
    CHECK(worker.fatal.empty());
  }
}

TEST_CASE("a password that is changed while the server runs does not end it", "[redis]") {
  RedisOptions options;
  options.password = "right";
  options.tcp = true;
  RedisProcess redis(options);
  StateWorker worker(redis.tcp_url());
  worker.ready();
  worker.command("CONFIG", "SET", "requirepass", "changed");
  Task<Reply> quit = worker.redis().command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no");
  quit.start();
  CHECK(worker.wait([&worker] { return !worker.state->redis_up(); }));
  worker.turn(200ms);
  CHECK(worker.fatal.empty());
  CHECK(worker.row->redis_state.load() == RedisState::down);
}

// The worker was ready, and half of the writes failed.
TEST_CASE("a Redis that cannot serve sessions ends the start with one line", "[redis]") {
  SECTION("a cluster") {
    RedisProcess redis({.password = {},
                        .tcp = true,
                        .arguments = {"--cluster-enabled", "yes", "--cluster-port", std::to_string(free_port())}});
    StateWorker worker(redis.tcp_url());
    worker.start();
    CHECK(worker.wait([&worker] { return !worker.fatal.empty(); }));
    CHECK(worker.fatal.find("Redis Cluster") != std::string::npos);
  }
  SECTION("a user without scripts, or without the keys") {
    RedisProcess redis({.password = {}, .tcp = true, .arguments = {}});
    const auto rule = GENERATE(as<std::string>(), "-eval", "-hset", "resetkeys");
    CAPTURE(rule);
    redis.command({"ACL", "SETUSER", "shop", "on", ">secret", "~*", "+@all", rule});
    StateWorker worker("redis://shop:secret@127.0.0.1:" + std::to_string(redis.port()));
    worker.start();
    CHECK(worker.wait([&worker] { return !worker.fatal.empty(); }));
    CHECK(worker.fatal.find("EVAL") != std::string::npos);
    CHECK(worker.fatal.find("app:*") != std::string::npos);
    CHECK(worker.fatal.find("secret") == std::string::npos);
  }
}

TEST_CASE("a user with the rights that sessions need can log in without any other", "[redis]") {
  RedisProcess redis({.password = {}, .tcp = true, .arguments = {}});
  redis.command({"ACL", "SETUSER", "shop", "on", ">secret", "~app:*", "+eval", "+evalsha", "+@hash", "+@keyspace"});
  StateWorker worker("redis://shop:secret@127.0.0.1:" + std::to_string(redis.port()));
  worker.ready();
  Visit visit(worker);
  visit.session().set("user", "ann");
  CHECK_FALSE(visit.commit().empty());
}
