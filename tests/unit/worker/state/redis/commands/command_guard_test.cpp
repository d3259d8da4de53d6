#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

TEST_CASE("commands that would change the shared connection are rejected before they are sent", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  CHECK_THROWS_AS(worker.command("subscribe", "news"), RedisError);
  CHECK_THROWS_AS(worker.command("WAIT", 1, 0), RedisError);
  CHECK_THROWS_AS(worker.run(worker.redis().pipeline({Command("BLPOP", "list", 0)})), RedisError);
  CHECK_THROWS_AS(worker.run(worker.redis().pipeline({Command("XREAD", "BLOCK", 0, "STREAMS", "s", "$")})), RedisError);
  CHECK_THROWS_AS(worker.command("MULTI"), RedisError);
  CHECK_THROWS_AS(worker.command("client", "reply", "off"), RedisError);
  CHECK_THROWS_AS(worker.command("CLIENT", "TRACKING", "OFF"), RedisError);
  CHECK_THROWS_AS(worker.command("CLIENT", "CACHING", "YES"), RedisError);
  CHECK_THROWS_AS(worker.run(worker.redis().run(Command(std::vector<std::string>{}))), RedisError);
  CHECK(worker.command("PING").string() == "PONG");
  CHECK((*worker.row)[Count::redis_commands].load() == 1);
}
