#include "worker/state/redis/health/circuit_breaker.h"

#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::Circuit;
using worker::CircuitBreaker;

TEST_CASE("the circuit opens after five commands in a row were not answered in time", "[redis][circuit]") {
  CircuitBreaker breaker;
  for (int i = 0; i < 4; ++i) CHECK_FALSE(breaker.missed());
  breaker.answered();
  for (int i = 0; i < 4; ++i) CHECK_FALSE(breaker.missed());
  CHECK(breaker.closed());
  CHECK(breaker.missed());
  CHECK(breaker.state() == Circuit::open);
  CHECK_FALSE(breaker.missed());  // already
}

TEST_CASE("probes that fail come ever more rarely, and one that succeeds closes the circuit", "[redis][circuit]") {
  CircuitBreaker breaker;
  for (int i = 0; i < CircuitBreaker::kFailuresToOpen; ++i) (void)breaker.missed();
  std::uint64_t wait = breaker.wait_ms();
  for (int i = 0; i < 10; ++i) {
    breaker.probing();
    CHECK(breaker.state() == Circuit::half_open);
    breaker.probe_missed();
    CHECK(breaker.state() == Circuit::open);
    CHECK(breaker.wait_ms() >= wait);
    wait = breaker.wait_ms();
  }
  CHECK(wait == CircuitBreaker::kLongestWaitMs);
  breaker.close();
  CHECK(breaker.closed());
  CHECK(breaker.wait_ms() == CircuitBreaker::kFirstWaitMs);
}

// Every command to a hanging server waited for the whole deadline.
TEST_CASE("commands to a server that is too slow fail at once until a probe is answered", "[redis][circuit]") {
  RedisProcess redis;
  StateWorker worker(config_for(redis.url(), 1s));
  worker.ready();
  REQUIRE(redis.command({"CLIENT", "PAUSE", "1400", "ALL"}) == "OK");
  std::vector<Task<Reply>> waiting;
  for (int i = 0; i < 6; ++i) {
    waiting.push_back(worker.redis().command("GET", "k"));
    waiting.back().start();
  }
  for (auto& task : waiting) CHECK_THROWS_AS(worker.finish(task), RedisUnavailable);
  // The connection is still there: its replies may come within twice the timeout.
  CHECK(worker.state->redis->up());
  CHECK(worker.row->redis_state.load() == RedisState::down);
  CHECK_FALSE(worker.state->redis_up());
  Task<Reply> refused = worker.redis().command("GET", "k");
  refused.start();
  REQUIRE(refused.done());
  CHECK_THROWS_AS(refused.take(), RedisUnavailable);
  // The pause ends, and so the probe is answered.
  REQUIRE(worker.wait([&] { return worker.state->redis_up(); }));
  CHECK(worker.command("SET", "k", "v").string() == "OK");
}
