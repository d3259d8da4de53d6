#include <set>

#include "unit/worker/state/state_worker.h"
#include "worker/state/sessions/session_id.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

std::string key_of(const std::string& id) { return "app:s:{" + id + "}"; }

// A session with user=ann, stored.
std::string new_session(StateWorker& worker) {
  Visit visit(worker);
  visit.session().set("user", "ann");
  return visit.commit_id();
}

}  // namespace

TEST_CASE("session ids are 43 characters of base64url and never the same", "[session]") {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(worker::new_session_id());
  CHECK(ids.size() == 1000);
  for (const std::string& id : ids) REQUIRE(worker::is_session_id(id));
  CHECK_FALSE(worker::is_session_id(""));
  CHECK_FALSE(worker::is_session_id(std::string(42, 'a')));
  CHECK_FALSE(worker::is_session_id(std::string(44, 'a')));
  CHECK_FALSE(worker::is_session_id(std::string(42, 'a') + '}'));
  CHECK_FALSE(worker::is_session_id(std::string(42, 'a') + '\0'));
}

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

TEST_CASE("what one request sets the next one reads, in one round trip", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Visit first(worker);
  first.session().set("user", "ann");
  CHECK(first.session().get("user") == "ann");
  const std::string cookie = first.commit();
  CHECK(cookie.find("HttpOnly") != std::string::npos);
  CHECK(cookie.find("SameSite=Lax") != std::string::npos);
  CHECK(cookie.find("Path=/") != std::string::npos);
  CHECK(cookie.find("Max-Age=86400") != std::string::npos);
  CHECK(cookie.find("Secure") == std::string::npos);
  const std::string id = cookie.substr(8, 43);
  CHECK(redis.command({"HGET", key_of(id), "user"}) == "ann");

  const auto before = (*worker.row)[Count::redis_commands].load();
  Visit second(worker, id);
  Session session = second.session();
  CHECK_FALSE(session.is_new());
  CHECK(session.get("user") == "ann");
  CHECK_FALSE(session.has("_pronghorn.sent"));
  CHECK(second.commit().empty());
  CHECK((*worker.row)[Count::redis_commands].load() - before == 2);  // HGETALL and PEXPIRE, sent together
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

TEST_CASE("parallel requests of one session do not overwrite each other", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  Visit one(worker, id);
  Visit two(worker, id);
  one.session().set("cart", "3");
  two.session().set("theme", "dark");
  two.session().erase("absent");
  CHECK(one.commit().empty());
  CHECK(two.commit().empty());
  Visit after(worker, id);
  CHECK(after.session().get("cart") == "3");
  CHECK(after.session().get("theme") == "dark");
  CHECK(after.session().get("user") == "ann");
}

TEST_CASE("increments from parallel requests are all counted", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  std::vector<std::unique_ptr<Visit>> visits;
  std::vector<Task<std::int64_t>> tasks;
  for (int i = 0; i < 50; ++i) visits.push_back(std::make_unique<Visit>(worker, id));
  for (auto& visit : visits) {
    Session session = visit->session();
    tasks.push_back(session.increment("visits"));
    tasks.back().start();
  }
  std::set<std::int64_t> values;
  for (auto& task : tasks) values.insert(worker.finish(task));
  CHECK(values.size() == 50);
  CHECK(*values.rbegin() == 50);
  CHECK(redis.command({"HGET", key_of(id), "visits"}) == "50");
}

TEST_CASE("increment begins a session, goes on from what was set, and is exact for large numbers", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Visit visit(worker);
  Session session = visit.session();
  CHECK(worker.run(session.increment("n")) == 1);
  CHECK(worker.run(session.increment("n", 4)) == 5);
  session.set("n", "9007199254740993");
  CHECK(worker.run(session.increment("n")) == 9007199254740994);
  CHECK(session.get("n") == "9007199254740994");
  session.erase("n");
  CHECK(worker.run(session.increment("n", -2)) == -2);
  session.set("word", "abc");
  CHECK_THROWS_AS(worker.run(session.increment("word")), RedisError);
  const std::string id = visit.commit_id();
  CHECK(redis.command({"HGET", key_of(id), "n"}) == "-2");
  CHECK(std::stol(redis.command({"PTTL", key_of(id)})) > 86'000'000);
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

TEST_CASE("rotate moves everything to a new id and makes the old one worthless", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string old_id = new_session(worker);
  Visit login(worker, old_id);
  Visit parallel(worker, old_id);
  parallel.session().set("cart", "1");
  CHECK(parallel.commit().empty());  // after login has read, before it rotates: must not be lost
  Session session = login.session();
  session.rotate();
  session.set("user", "bob");
  session.erase("none");
  const std::string new_id = login.commit_id();
  CHECK(new_id != old_id);
  CHECK(redis.command({"EXISTS", key_of(old_id)}) == "0");
  Visit after(worker, new_id);
  CHECK(after.session().get("user") == "bob");
  CHECK(after.session().get("cart") == "1");
  Visit attacker(worker, old_id);
  CHECK(attacker.session().is_new());
}

TEST_CASE("rotate of a client without a session gives it one when something is set", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Visit nothing(worker);
  nothing.session().rotate();
  CHECK(nothing.commit().empty());
  Visit login(worker);
  login.session().rotate();
  login.session().set("user", "ann");
  Visit after(worker, login.commit_id());
  CHECK(after.session().get("user") == "ann");
}

TEST_CASE("destroy removes the session and its cookie", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  Visit logout(worker, id);
  Session session = logout.session();
  session.destroy();
  CHECK(session.is_new());
  CHECK_FALSE(session.has("user"));
  const std::string cookie = logout.commit();
  CHECK(cookie.starts_with("session=;"));
  CHECK(cookie.find("Max-Age=0") != std::string::npos);
  CHECK(redis.command({"EXISTS", key_of(id)}) == "0");

  const std::string other = new_session(worker);
  Visit again(worker, other);
  again.session().destroy();
  again.session().set("flash", "bye");
  const std::string begun = again.commit_id();
  CHECK(begun != other);
  CHECK(redis.command({"HGET", key_of(begun), "flash"}) == "bye");
  CHECK(redis.command({"EXISTS", key_of(other)}) == "0");
}

TEST_CASE("a late request cannot bring back a session that has ended", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  Visit late(worker, id);
  Visit counting(worker, id);
  Visit logout(worker, id);
  Session session = late.session();
  Session counted = counting.session();
  logout.session().destroy();
  logout.commit();
  session.set("user", "ann");
  CHECK(late.commit().empty());
  CHECK(worker.run(counted.increment("visits")) == 1);
  CHECK(worker.run(counted.increment("visits")) == 2);
  CHECK(counting.commit().empty());
  CHECK(redis.command({"KEYS", "*"}).empty());
}

TEST_CASE("a session that is not used expires, one that is used does not", "[session]") {
  RedisProcess redis;
  Config config = config_for(redis.url());
  config.session_ttl = 60s;
  StateWorker worker(config);
  worker.ready();
  const std::string id = new_session(worker);
  redis.command({"PEXPIRE", key_of(id), "1000"});
  Visit use(worker, id);
  CHECK(use.session().get("user") == "ann");
  CHECK(std::stol(redis.command({"PTTL", key_of(id)})) > 50'000);
  redis.command({"PEXPIRE", key_of(id), "1"});
  CHECK(eventually(2s, [&] { return redis.command({"EXISTS", key_of(id)}) == "0"; }));
  Visit late(worker, id);
  CHECK(late.session().is_new());
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

TEST_CASE("the reserved field is not the application's", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Visit visit(worker, new_session(worker));
  Session session = visit.session();
  CHECK_FALSE(session.get("_pronghorn.sent"));
  CHECK_THROWS_AS(session.set("_pronghorn.sent", "1"), std::invalid_argument);
  CHECK_THROWS_AS(session.erase("_pronghorn.sent"), std::invalid_argument);
  CHECK_THROWS_AS(worker.run(session.increment("_pronghorn.sent")), std::invalid_argument);
}

TEST_CASE("a session of thousands of fields is written and read", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Visit visit(worker);
  Session session = visit.session();
  for (int i = 0; i < 10'000; ++i) session.set("f" + std::to_string(i), std::to_string(i));
  const std::string id = visit.commit_id();
  Visit rotating(worker, id);
  rotating.session().rotate();
  Visit after(worker, rotating.commit_id());
  CHECK(after.session().get("f9999") == "9999");
}

TEST_CASE("sessions are unavailable while Redis is", "[session]") {
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
