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

TEST_CASE("a cookie without the form of an id is never sent to Redis", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  for (const char* cookie : {"x", "../../etc", "}{", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA}*"}) {
    Visit visit(worker, cookie);
    CHECK(visit.session().is_new());
  }
  CHECK((*worker.row)[Count::redis_commands].load() == 0);
}

TEST_CASE("the cookie is sent again after half of its life", "[session]") {
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

// A clock that was ahead stamped the cookie; it was not sent again until that time had come.
TEST_CASE("a cookie that was stamped in the future is sent again", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  redis.command({"HSET", key_of(id), "_pronghorn.sent", "99999999999"});
  Visit visit(worker, id);
  visit.session();
  CHECK(visit.commit_id() == id);
  Visit next(worker, id);
  next.session();
  CHECK(next.commit().empty());
}

// A stale cookie of a longer path, which comes first, logged the user out.
TEST_CASE("of several session cookies the first whose session exists counts", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  const std::string stale(43, 'A');
  for (const std::string& cookies :
       {stale + "; session=" + id, id + "; session=" + stale, "x; session=" + stale + "; other=1; session=" + id}) {
    Visit visit(worker, cookies);
    CHECK(visit.session().get("user") == "ann");
  }
}

TEST_CASE("rotate and destroy end all sessions that the client's cookies name", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  for (const bool login : {true, false}) {
    const std::string used = new_session(worker);
    const std::string planted = new_session(worker);
    Visit visit(worker, used + "; session=" + planted);
    Session session = visit.session();
    if (login) {
      session.rotate();
    } else {
      session.destroy();
    }
    CHECK_FALSE(visit.commit().empty());
    CHECK(redis.command({"EXISTS", key_of(used), key_of(planted)}) == "0");
  }
}

TEST_CASE("a client that sends very many session cookies costs a bounded number of lookups", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  std::string cookies = std::string(43, 'A');
  for (char c = 'B'; c <= 'Z'; ++c) cookies += "; session=" + std::string(43, c);
  Visit visit(worker, cookies);
  CHECK(visit.session().is_new());
  CHECK((*worker.row)[Count::redis_commands].load() <= 16 * 3);
}
