#include "unit/worker/state/sessions/stored_session.h"

using namespace pronghorn;
using namespace pronghorn::test;

TEST_CASE("rotate moves all fields to a new id and invalidates the old one", "[session]") {
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

TEST_CASE("rotate without a session creates one only if a field is set", "[session]") {
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

TEST_CASE("an idle session expires, one in use does not", "[session]") {
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

// The time to live was renewed with every read: a write to Redis' log and its replicas for each request.
TEST_CASE("reading a session renews its time to live at most once per tenth of it", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  const auto ttl_after_read = [&](const char* left_ms) {
    redis.command({"PEXPIRE", key_of(id), left_ms});
    Visit(worker, id).session();
    return std::stol(redis.command({"PTTL", key_of(id)}));
  };
  CHECK(ttl_after_read("80000000") <= 80'000'000);
  CHECK(ttl_after_read("77000000") > 86'000'000);
}

// Anonymous clients could fill Redis with sessions that nobody ever uses, each for a day.
TEST_CASE("a new session expires soon unless its cookie comes back", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Visit counting(worker);
  worker.run(counting.session().increment("visits"));
  for (const std::string& id : {new_session(worker), counting.commit_id()}) {
    CHECK(std::stol(redis.command({"PTTL", key_of(id)})) <= 600'000);
    Visit back(worker, id);
    Session session = back.session();
    CHECK(std::stol(redis.command({"PTTL", key_of(id)})) > 86'000'000);
    session.rotate();
    CHECK(std::stol(redis.command({"PTTL", key_of(back.commit_id())})) > 86'000'000);
  }
}

TEST_CASE("rotate costs one round trip", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  Visit login(worker, id);
  Session session = login.session();
  session.rotate();
  session.set("user", "bob");
  const auto before = (*worker.row)[Count::redis_commands].load();
  const std::string new_id = login.commit_id();
  CHECK((*worker.row)[Count::redis_commands].load() - before == 1);
  CHECK(redis.command({"EXISTS", key_of(id)}) == "0");
  CHECK(redis.command({"HGET", key_of(new_id), "user"}) == "bob");
}

TEST_CASE("rotate of a session that has ended keeps the fields that were set, and nothing else", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  Visit login(worker, id);
  Visit empty(worker, id);
  Session session = login.session();
  empty.session().rotate();
  redis.command({"DEL", key_of(id)});
  CHECK(empty.commit().empty());
  session.rotate();
  session.set("theme", "dark");
  const std::string new_id = login.commit_id();
  CHECK(redis.command({"HGET", key_of(new_id), "theme"}) == "dark");
  CHECK(redis.command({"HGET", key_of(new_id), "user"}) == "(nil)");
}
