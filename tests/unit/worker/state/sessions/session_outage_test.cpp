#include "unit/worker/state/sessions/stored_session.h"

using namespace pronghorn;
using namespace pronghorn::test;

TEST_CASE("sessions are unavailable while Redis is unreachable", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  Visit begun(worker, id);
  begun.session().set("a", "b");
  redis.kill();
  CHECK(worker.wait([&worker] { return !worker.state->redis_up(); }));
  CHECK_THROWS_AS(begun.commit(), RedisUnavailable);
  Visit visit(worker, id);
  CHECK_THROWS_AS(visit.session(), RedisUnavailable);
  Visit counting(worker);
  Session session = counting.session();
  CHECK_THROWS_AS(worker.run(session.increment("n")), RedisUnavailable);
}

TEST_CASE("a Redis that takes no writes makes sessions unavailable", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  redis.command({"CONFIG", "SET", "min-replicas-to-write", "1"});
  Visit visit(worker);
  visit.session().set("a", "b");
  CHECK_THROWS_AS(visit.commit(), RedisUnavailable);
}

TEST_CASE("without Redis a session is refused with a reason", "[session]") {
  StateWorker worker("none");
  worker.start();
  CHECK(worker.state->redis_up());
  CHECK(worker.row->redis_state.load() == RedisState::off);
  Visit visit(worker);
  try {
    visit.session();
    FAIL("no HttpError");
  } catch (const HttpError& error) {
    CHECK(error.status() == 503);
    CHECK(std::string(error.what()).find("Redis") != std::string::npos);
  }
}
