// Sessions that are read beside the limits of the route.
#include <memory>

#include "pronghorn/redis.h"
#include "unit/worker/state/sessions/stored_session.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

std::unique_ptr<Visit> visit_of(StateWorker& worker, const std::string& id, std::uint32_t route) {
  auto visit = std::make_unique<Visit>(worker, id);
  visit->exchange.route_index = route;
  return visit;
}

// How many commands begin_load() sends.
std::uint64_t begin_load(StateWorker& worker, Visit& visit) {
  const auto before = (*worker.row)[Count::redis_commands].load();
  worker.state->sessions.begin_load(visit.exchange);
  return (*worker.row)[Count::redis_commands].load() - before;
}

}  // namespace

TEST_CASE("a session is read before the handler asks for it, once requests of the route do", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  CHECK(begin_load(worker, *visit_of(worker, id, 3)) == 0);  // nobody has asked yet
  (void)visit_of(worker, id, 3)->session();
  const auto visit = visit_of(worker, id, 3);
  CHECK(begin_load(worker, *visit) == 2);
  const auto before = (*worker.row)[Count::redis_commands].load();
  CHECK(visit->session().get("user") == "ann");
  CHECK((*worker.row)[Count::redis_commands].load() == before);
  CHECK(begin_load(worker, *visit_of(worker, id, 4)) == 0);  // another route
  CHECK(begin_load(worker, *visit_of(worker, "", 3)) == 0);  // no cookie
}

TEST_CASE("a request that does without its session makes the next one wait until it asks", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  (void)visit_of(worker, id, 3)->session();
  CHECK(begin_load(worker, *visit_of(worker, id, 3)) == 2);
  CHECK(begin_load(worker, *visit_of(worker, id, 3)) == 0);
  (void)visit_of(worker, id, 3)->session();
  CHECK(begin_load(worker, *visit_of(worker, id, 3)) == 2);
}

TEST_CASE("a handler that asks for its session late gets the present one", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  (void)visit_of(worker, id, 3)->session();
  const auto visit = visit_of(worker, id, 3);
  REQUIRE(begin_load(worker, *visit) == 2);
  worker.turn(150ms);  // as a handler that reads a body first
  CHECK(redis.command({"HSET", key_of(id), "user", "bob"}) == "0");
  CHECK(visit->session().get("user") == "bob");
}

TEST_CASE("a session that could not be read early fails the request that asks for it", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  (void)visit_of(worker, id, 3)->session();
  const auto visit = visit_of(worker, id, 3);
  REQUIRE(begin_load(worker, *visit) == 2);
  redis.kill();
  REQUIRE(worker.wait([&worker] { return !worker.state->redis->up(); }));
  CHECK_THROWS_AS(visit->session(), RedisUnavailable);
  CHECK(begin_load(worker, *visit_of(worker, id, 3)) == 0);  // without a connection
}
