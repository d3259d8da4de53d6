#include "support/processes/redis_cluster.h"
#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

TEST_CASE("the primary that sentinels name is used, and its successor after a failover", "[redis][sentinel]") {
  RedisSentinels sentinels;
  StateWorker worker(config_for(sentinels.url(), 500ms));
  worker.ready();
  CHECK(worker.command("SET", "k", "v").string() == "OK");
  REQUIRE(sentinels.primary() == 0);
  CHECK(sentinels.server(0).command({"GET", "k"}) == "v");
  REQUIRE(worker.wait([&] {
    return sentinels.server(1).command({"GET", "k"}) == "v" && sentinels.server(2).command({"GET", "k"}) == "v";
  }));

  sentinels.server(0).kill();
  REQUIRE(worker.wait([&] { return !worker.state->redis_up(); }));
  CHECK(worker.row->redis_state.load() == RedisState::down);
  REQUIRE(worker.wait([&] { return sentinels.primary() != 0; }, 60s));
  const std::uint64_t decided_ns = uv_hrtime();
  REQUIRE(worker.wait([&] { return worker.state->redis_up(); }, 60s));
  CHECK(uv_hrtime() - decided_ns < 5'000'000'000);
  CHECK(worker.command("GET", "k").string() == "v");
  CHECK(worker.command("SET", "k", "w").string() == "OK");
  CHECK(sentinels.server(sentinels.primary()).command({"GET", "k"}) == "w");
}

TEST_CASE("a failover that was asked for moves the connection to the new primary", "[redis][sentinel]") {
  RedisSentinels sentinels;
  StateWorker worker(config_for(sentinels.url()));
  worker.ready();
  REQUIRE(worker.wait([&] { return sentinels.sentinel(0).command({"SENTINEL", "FAILOVER", "main"}) == "OK"; }));
  REQUIRE(worker.wait([&] { return sentinels.primary() != 0; }, 60s));
  REQUIRE(worker.wait(
      [&] {
        try {
          return worker.command("SET", "k", "w").string() == "OK" &&
                 sentinels.server(sentinels.primary()).command({"GET", "k"}) == "w";
        } catch (const RedisUnavailable&) {
          return false;
        }
      },
      60s));
}

TEST_CASE("sentinels are asked in turn, and an unknown primary is told", "[redis][sentinel]") {
  RedisSentinels sentinels;
  const std::string port = std::to_string(sentinels.sentinel(2).port());
  StateWorker worker(config_for("redis+sentinel://127.0.0.1:1,127.0.0.1:" + port + "/main", 1s));
  worker.ready();
  StateWorker lost(config_for("redis+sentinel://127.0.0.1:" + port + "/other", 300ms));
  lost.start();
  REQUIRE(lost.wait([&] { return lost.row->redis_error.get().find("does not know \"other\"") != std::string::npos; }));
  CHECK_THROWS_AS(lost.command("GET", "k"), RedisUnavailable);
}
