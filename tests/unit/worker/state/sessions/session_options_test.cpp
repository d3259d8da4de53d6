// Absolute lifetime, size, flash values, and the attributes of the cookie.
#include <string>

#include "unit/worker/state/sessions/stored_session.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace std::chrono_literals;

namespace {

Config with(const RedisProcess& redis, void (*change)(Config&)) {
  Config config = config_for(redis.url());
  change(config);
  return config;
}

std::int64_t ttl_ms(const RedisProcess& redis, const std::string& id) {
  return std::stoll(redis.command({"PTTL", key_of(id)}));
}

std::int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace

TEST_CASE("a session ends at its absolute lifetime, however much it is used", "[session][lifetime]") {
  RedisProcess redis;
  StateWorker worker(with(redis, [](Config& config) { config.session_lifetime = 1h; }));
  worker.ready();
  const std::string id = new_session(worker);
  Visit(worker, id).session();
  CHECK(ttl_ms(redis, id) > 3'500'000);
  CHECK(ttl_ms(redis, id) <= 3'600'000);
  // 50 minutes later
  redis.command({"HSET", key_of(id), "_pronghorn.born", std::to_string(now_ms() - 3'000'000)});
  Visit use(worker, id);
  Session session = use.session();
  session.set("a", "b");
  use.commit();
  CHECK(ttl_ms(redis, id) <= 600'000);
  (void)worker.run(session.increment("n"));
  CHECK(ttl_ms(redis, id) <= 600'000);
  // and after its end, if the option was lowered meanwhile
  redis.command({"HSET", key_of(id), "_pronghorn.born", std::to_string(now_ms() - 3'600'001)});
  Visit late(worker, id);
  CHECK(late.session().is_new());
  CHECK(worker.wait([&] { return redis.command({"EXISTS", key_of(id)}) == "0"; }));
}

TEST_CASE("a login starts the absolute lifetime again, a rotation does not", "[session][lifetime]") {
  RedisProcess redis;
  StateWorker worker(with(redis, [](Config& config) { config.session_lifetime = 1h; }));
  worker.ready();
  std::string id = new_session(worker);
  Visit(worker, id).session();
  redis.command({"HSET", key_of(id), "_pronghorn.born", std::to_string(now_ms() - 3'000'000)});
  Visit rotating(worker, id);
  rotating.session().rotate();
  const std::string cookie = rotating.commit();
  id = cookie.substr(8, 43);
  CHECK(ttl_ms(redis, id) <= 600'000);
  CHECK(std::stol(cookie.substr(cookie.find("Max-Age=") + 8)) <= 600);
  Visit login(worker, id);
  login.session().login("ann");
  id = login.commit_id();
  CHECK(ttl_ms(redis, id) > 3'500'000);
}

TEST_CASE("a session from before the option was set begins its lifetime with the next request", "[session][lifetime]") {
  RedisProcess redis;
  std::string id;
  {
    StateWorker before(redis.url());
    before.ready();
    id = new_session(before);
    Visit(before, id).session();
    CHECK(ttl_ms(redis, id) > 80'000'000);
    CHECK(redis.command({"HGET", key_of(id), "_pronghorn.born"}) == "(nil)");
  }
  StateWorker worker(with(redis, [](Config& config) { config.session_lifetime = 1h; }));
  worker.ready();
  Visit use(worker, id);
  CHECK(use.session().get("user") == "ann");
  CHECK(std::stoll(redis.command({"HGET", key_of(id), "_pronghorn.born"})) > now_ms() - 60'000);
  CHECK(ttl_ms(redis, id) <= 3'600'000);
}

TEST_CASE("reading a session near the end of its lifetime does not write", "[session][lifetime]") {
  RedisProcess redis;
  StateWorker worker(with(redis, [](Config& config) { config.session_lifetime = 1h; }));
  worker.ready();
  const std::string id = new_session(worker);
  Visit(worker, id).session();
  redis.command({"HSET", key_of(id), "_pronghorn.born", std::to_string(now_ms() - 3'500'000)});
  redis.command({"PEXPIRE", key_of(id), "95000"});
  const auto before = (*worker.row)[Count::redis_commands].load();
  Visit(worker, id).session();
  CHECK((*worker.row)[Count::redis_commands].load() - before == 2);
}

TEST_CASE("a session cannot become larger than session_max_bytes", "[session][size]") {
  RedisProcess redis;
  StateWorker worker(with(redis, [](Config& config) { config.session_max_bytes = 1000; }));
  worker.ready();
  Visit visit(worker);
  Session session = visit.session();
  session.set("a", std::string(500, 'x'));
  session.set("a", std::string(900, 'x'));  // replaces
  CHECK_THROWS_AS(session.set("b", std::string(99, 'x')), SessionTooLarge);
  session.set("b", std::string(97, 'x'));
  CHECK_THROWS_WITH(
      session.set("c", "1"),
      "the session would have 1001 bytes, and session_max_bytes is 1000; keep large data under a key of its "
      "own");
  CHECK_THROWS_AS(session.flash("f", "1"), SessionTooLarge);
  CHECK_THROWS_AS(worker.run(session.increment("n")), SessionTooLarge);
  CHECK_THROWS_AS(session.login("ann"), SessionTooLarge);
  CHECK_FALSE(session.has("c"));
  const std::string id = visit.commit_id();
  // The next request counts what is stored, and can make room.
  Visit next(worker, id);
  Session later = next.session();
  CHECK_THROWS_AS(later.set("c", "123"), SessionTooLarge);
  later.erase("b");
  later.set("c", "123");
  CHECK(next.commit().empty());
  CHECK(redis.command({"HGET", key_of(id), "c"}) == "123");
}

TEST_CASE("a session cannot have more fields than session_max_fields", "[session][size]") {
  RedisProcess redis;
  StateWorker worker(with(redis, [](Config& config) { config.session_max_fields = 3; }));
  worker.ready();
  Visit visit(worker);
  Session session = visit.session();
  for (const char* name : {"a", "b", "c"}) session.set(name, "");
  session.set("a", "again");
  CHECK_THROWS_WITH(session.set("d", ""), "the session would have 4 fields, and session_max_fields is 3");
  session.erase("a");
  session.set("d", "");
  CHECK(visit.commit().starts_with("session="));
}

TEST_CASE("a session that is too large already can be read, shrunk and ended", "[session][size]") {
  RedisProcess redis;
  StateWorker worker(with(redis, [](Config& config) { config.session_max_bytes = 300; }));
  worker.ready();
  const std::string id = new_session(worker);
  redis.command({"HSET", key_of(id), "big", std::string(10'000, 'x')});
  Visit visit(worker, id);
  Session session = visit.session();
  CHECK(session.get("big")->size() == 10'000);
  session.set("big", std::string(9'000, 'x'));
  CHECK_THROWS_AS(session.set("more", "1"), SessionTooLarge);
  session.destroy();
  CHECK(visit.commit().find("Max-Age=0") != std::string::npos);
}

TEST_CASE("a flash value can be read by the next request only", "[session][flash]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Visit first(worker);
  Session session = first.session();
  session.flash("notice", "saved");
  CHECK_FALSE(session.flash("notice"));
  const std::string id = first.commit_id();

  Visit second(worker, id);
  CHECK(second.session().flash("notice") == "saved");
  CHECK_FALSE(second.session().flash("other"));
  CHECK_FALSE(second.session().get("_pronghorn.flash.notice"));
  CHECK(second.commit().empty());

  Visit third(worker, id);
  CHECK_FALSE(third.session().flash("notice"));
  const auto before = (*worker.row)[Count::redis_commands].load();
  CHECK(third.commit().empty());
  CHECK((*worker.row)[Count::redis_commands].load() == before);
}

TEST_CASE("a flash value that is set again stays for one request more", "[session][flash]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Visit first(worker);
  first.session().flash("notice", "one");
  first.session().flash("gone", "x");
  const std::string id = first.commit_id();
  Visit second(worker, id);
  Session session = second.session();
  CHECK(session.flash("notice") == "one");
  session.flash("notice", "two");
  CHECK(session.flash("notice") == "one");
  second.commit();
  Visit third(worker, id);
  CHECK(third.session().flash("notice") == "two");
  CHECK_FALSE(third.session().flash("gone"));
}

TEST_CASE("a request whose handler throws leaves the flash value to the next one", "[session][flash]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Visit first(worker);
  first.session().flash("notice", "saved");
  const std::string id = first.commit_id();
  {
    Visit throws(worker, id);
    CHECK(throws.session().flash("notice") == "saved");  // no commit
  }
  Visit next(worker, id);
  CHECK(next.session().flash("notice") == "saved");
}

TEST_CASE("flash values survive rotate and login, and end with the session", "[session][flash]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Visit login(worker, new_session(worker));
  login.session().login("ann");
  login.session().flash("notice", "welcome");
  const std::string id = login.commit_id();
  Visit logout(worker, id);
  Session session = logout.session();
  CHECK(session.flash("notice") == "welcome");
  session.destroy();
  CHECK_FALSE(session.flash("notice"));
  session.flash("notice", "bye");
  Visit after(worker, logout.commit_id());
  CHECK(after.session().flash("notice") == "bye");
}

TEST_CASE("a flash value is read even if Redis refuses to delete it", "[session][flash]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Visit first(worker);
  first.session().flash("notice", "saved");
  const std::string id = first.commit_id();
  Visit second(worker, id);
  CHECK(second.session().flash("notice") == "saved");
  redis.command({"CONFIG", "SET", "maxmemory", "1"});
  CHECK(second.commit().empty());
  redis.command({"CONFIG", "SET", "maxmemory", "0"});
}

TEST_CASE("every field that begins with _pronghorn. is reserved", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Visit visit(worker);
  Session session = visit.session();
  for (const char* name :
       {"_pronghorn.user", "_pronghorn.mark", "_pronghorn.born", "_pronghorn.", "_pronghorn.flash.a"}) {
    CHECK_THROWS_AS(session.set(name, "x"), std::invalid_argument);
    CHECK_THROWS_AS(session.erase(name), std::invalid_argument);
    CHECK_THROWS_AS(worker.run(session.increment(name)), std::invalid_argument);
  }
  session.set("_pronghorn", "fine");
}

TEST_CASE("options set SameSite and Domain of the cookie, also when it is deleted", "[session][cookie]") {
  RedisProcess redis;
  StateWorker worker(with(redis, [](Config& config) {
    config.session_same_site = "strict";
    config.session_domain = "example.org";
  }));
  worker.ready();
  Visit visit(worker);
  visit.session().set("a", "b");
  const std::string cookie = visit.commit();
  CHECK(cookie.find("SameSite=Strict") != std::string::npos);
  CHECK(cookie.find("Domain=example.org") != std::string::npos);
  CHECK(cookie.find("Secure") == std::string::npos);
  Visit logout(worker, cookie.substr(8, 43));
  logout.session().destroy();
  const std::string deleted = logout.commit();
  CHECK(deleted.find("Domain=example.org") != std::string::npos);
  CHECK(deleted.find("Max-Age=0") != std::string::npos);
}

TEST_CASE("a cookie with SameSite=None or a prefix is Secure over http too", "[session][cookie]") {
  RedisProcess redis;
  for (const std::string name : {"session", "__Host-session", "__secure-session", "__HOST-session", "__Http-session"}) {
    CAPTURE(name);
    Config config = config_for(redis.url());
    config.session_cookie = name;
    if (name == "session") config.session_same_site = "none";
    StateWorker worker(config);
    worker.ready();
    Visit visit(worker);
    visit.session().set("a", "b");
    const std::string cookie = visit.commit();
    CHECK(cookie.find("; Secure") != std::string::npos);
    CHECK(cookie.find("Path=/") != std::string::npos);
    CHECK(cookie.find("Domain") == std::string::npos);
    CHECK((cookie.find("SameSite=None") != std::string::npos) == (name == "session"));
  }
}
