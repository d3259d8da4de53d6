#include "unit/worker/state/sessions/stored_session.h"

using namespace pronghorn;
using namespace pronghorn::test;

TEST_CASE("a client without a session costs no round trip and gets no cookie", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Visit visit(worker);
  Session session = visit.session();
  CHECK(session.is_new());
  CHECK_FALSE(session.has("user"));
  CHECK(visit.commit().empty());
  CHECK((*worker.row)[Count::redis_commands].load() == 0);
}

TEST_CASE("a cookie for https is Secure", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  worker::Peer peer;
  peer.https = true;
  Visit visit(worker);
  visit.exchange.peer = &peer;
  visit.session().set("a", "b");
  CHECK(visit.commit().find("Secure") != std::string::npos);
}

TEST_CASE("an id that Redis does not know is not adopted", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string forged(43, 'A');
  Visit visit(worker, forged);
  CHECK(visit.session().is_new());
  visit.session().set("user", "eve");
  CHECK(visit.commit_id() != forged);
  CHECK(redis.command({"EXISTS", key_of(forged)}) == "0");
}

TEST_CASE("a cookie that cannot be an id is not shown to Redis", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  for (const char* cookie : {"x", "../../etc", "}{", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA}*"}) {
    Visit visit(worker, cookie);
    CHECK(visit.session().is_new());
  }
  CHECK((*worker.row)[Count::redis_commands].load() == 0);
}

TEST_CASE("the cookie is sent again when half of its life has passed", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  redis.command({"HSET", key_of(id), "_pronghorn.sent", "1000"});
  Visit visit(worker, id);
  visit.session();
  CHECK(visit.commit_id() == id);
  Visit next(worker, id);
  next.session();
  CHECK(next.commit().empty());
}
