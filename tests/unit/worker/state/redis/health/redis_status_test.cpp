#include "worker/state/redis/health/redis_status.h"

#include <memory>

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::worker;

// With each rollout Redis seemed to have come up again.
TEST_CASE("a worker that reaches Redis at once says since when others have", "[redis]") {
  const auto row = std::make_unique<WorkerRow>();
  row->redis_since_at = 1'000;
  RedisStatus status(*row);
  status.set(RedisState::connecting);
  status.set(RedisState::up);
  CHECK(row->redis_since_at == 1'000);
  status.set(RedisState::connecting);
  status.set(RedisState::up);
  CHECK(row->redis_since_at > 1'000);
}

TEST_CASE("a worker that does not reach Redis at once says since when it does", "[redis]") {
  const auto row = std::make_unique<WorkerRow>();
  row->redis_since_at = 1'000;
  RedisStatus status(*row);
  status.set(RedisState::down, "refused");
  CHECK(row->redis_since_at > 1'000);
  status.set(RedisState::up);
  CHECK(row->redis_since_at > 1'000);
}
