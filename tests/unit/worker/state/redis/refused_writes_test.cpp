#include <filesystem>

#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

// A full disk was visible nowhere but in Redis' own log.
TEST_CASE("a Redis that cannot save refuses writes, answers reads, and is up again when it can", "[redis]") {
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
  CHECK(worker.row->redis_state.load() == RedisState::down);
  CHECK_FALSE(worker.state->redis_up());

  REQUIRE(redis.command({"CONFIG", "SET", "stop-writes-on-bgsave-error", "no"}) == "OK");
  CHECK(worker.wait([&] { return worker.row->redis_state.load() == RedisState::up; }));
  CHECK(worker.state->redis_up());
}
