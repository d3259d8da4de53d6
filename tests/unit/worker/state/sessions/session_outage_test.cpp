#include <string>
#include <vector>

#include "unit/worker/state/answering_server.h"
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

// Reading them was noexcept, so they ended the worker.
TEST_CASE("fields of a session that are no texts are an error of Redis", "[session]") {
  const auto fields = GENERATE(as<std::string>(), "*2\r\n:1\r\n:2\r\n", "*2\r\n$-1\r\n$-1\r\n", "*1\r\n*0\r\n",
                               "*2\r\n$15\r\n_pronghorn.born\r\n*0\r\n", "$4\r\nuser\r\n", ":1\r\n", "$-1\r\n");
  AnsweringServer server([&](const std::vector<std::string>& words) -> std::string {
    if (words[0] == "HGETALL") return fields;
    return words[0] == "PTTL" ? ":1000\r\n" : "+OK\r\n";
  });
  Config config = config_for("unix:" + server.socket());
  config.session_lifetime = 1h;
  StateWorker worker(config);
  worker.ready();
  Visit visit(worker, std::string(43, 'A'));
  CHECK_THROWS_AS(visit.session(), RedisError);
}
