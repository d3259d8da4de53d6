#include "worker/state/name_claim.h"

#include "common/log.h"
#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

// The application that has claimed the name after `app` has; "" if it did not.
std::string claimed_by(StateWorker& worker, const RedisProcess& redis, const std::string& app, bool name_is_default) {
  Config config = config_for(redis.url());
  config.app = app;
  config.name_is_default = name_is_default;
  worker.run(worker::claim_name(*worker.state->redis, config));
  return redis.command({"GET", "app:app"});
}

}  // namespace

TEST_CASE("a default name is claimed by the path of the application, a chosen one is not", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  CHECK(claimed_by(worker, redis, "/srv/shop/app.so", false) == "(nil)");
  CHECK(claimed_by(worker, redis, "/srv/shop/./app.so", true) == "/srv/shop/app.so");
  CHECK(std::stol(redis.command({"TTL", "app:app"})) > 0);
  CHECK(claimed_by(worker, redis, "/srv/blog/app.so", true) == "/srv/blog/app.so");
  redis.kill();
  Config config = config_for(redis.url());
  config.name_is_default = true;
  CHECK_NOTHROW(worker.run(worker::claim_name(*worker.state->redis, config)));
}
