#include "supervisor/launch/fixed_options.h"

#include "support/catch.h"

using namespace pronghorn;
using pronghorn::supervisor::keep_fixed_options;

TEST_CASE("a rollout ignores changes that need a restart and names those options", "[supervisor]") {
  Config running;
  Config fresh;
  fresh.listen = {"127.0.0.1:9090"};
  fresh.redis = "none";
  fresh.worker_timeout = Milliseconds(5'000);
  CHECK(keep_fixed_options(fresh, running) == std::vector<std::string>{"listen", "redis"});
  CHECK(fresh.listen == running.listen);
  CHECK(fresh.redis == "embedded");
  CHECK(fresh.worker_timeout == Milliseconds(5'000));
}

TEST_CASE("a rollout may move workers from one Redis server to another", "[supervisor]") {
  Config running;
  running.redis = "redis://one:6379";
  Config fresh = running;
  fresh.redis = "redis://two:6379";
  CHECK(keep_fixed_options(fresh, running).empty());
  CHECK(fresh.redis == "redis://two:6379");
}
