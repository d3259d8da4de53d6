// Sessions of users: login, and logging out everywhere.
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "unit/worker/state/sessions/stored_session.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace std::chrono_literals;

namespace {

std::string login(StateWorker& worker, const std::string& user, const std::string& cookie = "") {
  Visit visit(worker, cookie);
  visit.session().login(user);
  return visit.commit_id();
}

bool is_alive(StateWorker& worker, const std::string& id) {
  Visit visit(worker, id);
  return !visit.session().is_new();
}

// On a cluster, a request gives its session a new id, and another one deletes the session between the first one's reading
// and deleting of it. Returns the first one's Set-Cookie.
std::string move_while_it_ends(RedisProcess& redis, StateWorker& worker, const std::string& id,
                               const std::function<void(Session&)>& change) {
  worker::SessionStore store(worker.state->redis.get(), config_for("redis+cluster://a:1"));
  StateWorker other(redis.url());
  other.ready();
  worker.make_current();
  Visit visit(worker, id);
  visit.exchange.session = worker.run(store.load(visit.exchange));
  Session session(visit.exchange.session);
  change(session);
  const auto put_off = [&](const std::string& count) {
    return redis.command({"INFO", "clients"}).find("blocked_clients:" + count) != std::string::npos;
  };
  redis.command({"CLIENT", "PAUSE", "60000", "WRITE"});  // puts writes off, and then carries them out in their order
  Response response;
  Task<void> moving = store.commit(visit.exchange, response);
  moving.start();
  REQUIRE(worker.wait([&] { return put_off("1"); }));
  other.make_current();
  Task<Reply> ending = other.redis().command("DEL", key_of(id));
  ending.start();
  REQUIRE(other.wait([&] { return put_off("2"); }));
  redis.command({"CLIENT", "UNPAUSE"});
  CHECK(other.finish(ending).integer() == 1);
  worker.finish(moving);
  return std::string(response.header("Set-Cookie").value_or(""));
}

}  // namespace

TEST_CASE("login gives the session a new id, keeps its fields and remembers the user", "[session][users]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string before = new_session(worker);
  Visit visit(worker, before);
  Session session = visit.session();
  CHECK_FALSE(session.user());
  session.login("ann@example.org");
  CHECK(session.user() == "ann@example.org");
  const std::string id = visit.commit_id();
  CHECK(id != before);
  CHECK_FALSE(is_alive(worker, before));
  Visit after(worker, id);
  CHECK(after.session().user() == "ann@example.org");
  CHECK(after.session().get("user") == "ann");
  CHECK_FALSE(after.session().get("_pronghorn.user"));
}

TEST_CASE("login costs one round trip, and so does loading the session of a user", "[session][users]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string before = new_session(worker);
  (void)login(worker, "warm");
  Visit visit(worker, before);
  visit.session().login("ann");
  const auto sent = (*worker.row)[Count::redis_commands].load();
  const std::string id = visit.commit_id();
  CHECK((*worker.row)[Count::redis_commands].load() - sent == 1);
  (void)is_alive(worker, id);  // renews its time to live
  const auto loading = (*worker.row)[Count::redis_commands].load();
  CHECK(is_alive(worker, id));
  CHECK((*worker.row)[Count::redis_commands].load() - loading == 3);  // HGETALL, PTTL and GET, sent together
}

TEST_CASE("destroy_all ends every session of the user, on every worker, and nobody else's", "[session][users]") {
  RedisProcess redis;
  StateWorker one(redis.url());
  StateWorker two(redis.url());
  one.ready();
  two.ready();
  const std::string laptop = login(one, "ann");
  const std::string phone = login(two, "ann");
  const std::string other = login(one, "bob");
  const std::string anonymous = new_session(one);
  Visit logout(one, laptop);
  Session session = logout.session();
  one.run(session.destroy_all());
  CHECK(session.is_new());
  CHECK_FALSE(session.user());
  CHECK(logout.commit().find("Max-Age=0") != std::string::npos);
  CHECK_FALSE(is_alive(two, laptop));
  CHECK_FALSE(is_alive(two, phone));
  CHECK(is_alive(two, other));
  CHECK(is_alive(two, anonymous));
  // What was ended does not stay in Redis once somebody has tried to use it.
  CHECK(two.wait([&] { return redis.command({"EXISTS", key_of(phone)}) == "0"; }));
}

TEST_CASE("a user who logs in after destroy_all stays logged in, also in the same request", "[session][users]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string stolen = login(worker, "ann");
  const std::string mine = login(worker, "ann");
  Visit change_password(worker, mine);
  Session session = change_password.session();
  worker.run(session.destroy_all());
  session.login("ann");
  const std::string fresh = change_password.commit_id();
  const std::string later = login(worker, "ann");
  CHECK_FALSE(is_alive(worker, stolen));
  CHECK_FALSE(is_alive(worker, mine));
  CHECK(is_alive(worker, fresh));
  CHECK(is_alive(worker, later));
  Visit again(worker, later);
  Session ending = again.session();
  worker.run(ending.destroy_all());
  CHECK_FALSE(is_alive(worker, fresh));
}

TEST_CASE("a login that was under way when its user was logged out everywhere is void", "[session][users]") {
  RedisProcess redis;
  const bool on_cluster = GENERATE(false, true);
  StateWorker worker(redis.url());
  worker.ready();
  worker::SessionStore store(worker.state->redis.get(), config_for(on_cluster ? "redis+cluster://a:1" : redis.url()));
  const std::string before = new_session(worker);
  const auto log_in = [&](Visit& visit) {
    Session session = visit.session();
    session.login("ann");
    return session;
  };
  Visit with_session(worker, before);
  Visit without(worker);
  Visit unasked(worker);
  for (Visit* visit : {&with_session, &without, &unasked}) {  // a second ago, as if they had checked a password since
    visit->exchange.started = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  }
  with_session.exchange.session = worker.run(store.load(with_session.exchange));
  without.exchange.session = worker.run(store.load(without.exchange));
  Session early = log_in(with_session);
  worker.run(worker.state->sessions.end_all("ann"));
  Session late = log_in(without);
  Session last = log_in(unasked);  // the request had begun
  CHECK(with_session.commit().empty());
  CHECK(without.commit().empty());
  CHECK(unasked.commit().empty());
  CHECK(is_alive(worker, before));
  CHECK(redis.command({"KEYS", "app:s:*"}).find("app:s:{" + before + "}") != std::string::npos);
  CHECK(redis.command({"DBSIZE"}) == "2");  // that session and the mark
  Visit fresh(worker, before);
  (void)log_in(fresh);
  CHECK(is_alive(worker, fresh.commit_id()));
}

TEST_CASE("a mark from the future, of a clock that was set back, keeps nobody out", "[session][users]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = login(worker, "ann");
  worker.run(worker.state->sessions.end_all("ann"));
  const std::string key = "app:u:{" + std::string(worker::tag_of(id)) + "}";
  redis.command({"SET", key, std::string(32, 'a') + " 9000000000000000"});
  CHECK(is_alive(worker, login(worker, "ann")));
  redis.command({"SET", key, "the mark of an older version"});
  CHECK(is_alive(worker, login(worker, "ann")));
}

TEST_CASE("a request that ends all sessions of a user can log it in then", "[session][users]") {
  RedisProcess redis;
  TestClient client(
      [](App& app) {
        app.post("/reset", [](Request& request) -> Task<Response> {
          co_await end_sessions(request.worker(), "ann");
          Session session = co_await request.session();
          session.login("ann");
          co_return no_content();
        });
        app.get("/me", [](Request& request) -> Task<Response> {
          Session session = co_await request.session();
          co_return text(session.user().value_or("nobody"));
        });
      },
      {.redis = redis.url()});
  CHECK(client.post("/reset", "").status == 204);
  CHECK(client.get("/me").body == "ann");
}

TEST_CASE("rotation and increments of a session do not save it from destroy_all", "[session][users]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string first = login(worker, "ann");
  Visit rotating(worker, first);
  rotating.session().rotate();
  Visit counting(worker, first);
  Session counted = counting.session();
  worker.run(worker.state->sessions.end_all("ann"));  // both have loaded it
  const std::string rotated = rotating.commit_id();
  (void)worker.run(counted.increment("n"));
  CHECK(counted.user() == "ann");
  CHECK_FALSE(is_alive(worker, rotated));
  CHECK_FALSE(is_alive(worker, first));
}

TEST_CASE("a session that moves to another user is ended with the new one's sessions only", "[session][users]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = login(worker, "bob", login(worker, "ann"));
  worker.run(worker.state->sessions.end_all("ann"));
  CHECK(is_alive(worker, id));
  worker.run(worker.state->sessions.end_all("bob"));
  CHECK_FALSE(is_alive(worker, id));
}

TEST_CASE("a user without destroy_all costs Redis no key, and its mark outlives its sessions", "[session][users]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = login(worker, "ann");
  CHECK(redis.command({"KEYS", "*:u:*"}).empty());
  worker.run(worker.state->sessions.end_all("ann"));
  const std::string mark = redis.command({"KEYS", "*:u:*"});
  CHECK(std::stoll(redis.command({"PTTL", mark})) > 2 * std::stoll(redis.command({"PTTL", key_of(id)})));
}

TEST_CASE("an increment before login in one request goes with the user's session", "[session][users]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Visit visit(worker);
  Session session = visit.session();
  CHECK(worker.run(session.increment("visits")) == 1);
  session.login("ann");
  const std::string id = visit.commit_id();
  Visit after(worker, id);
  CHECK(after.session().get("visits") == "1");
  CHECK(after.session().user() == "ann");
  worker.run(worker.state->sessions.end_all("ann"));
  CHECK_FALSE(is_alive(worker, id));
}

TEST_CASE("users of any bytes, but not empty or endless", "[session][users]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  for (const std::string& user : {std::string("{a}\r\n\0*", 7), std::string(1024, 'u'), std::string("\xff\xfe")}) {
    const std::string id = login(worker, user);
    CHECK(worker::is_session_id(id));
    CHECK(worker::tag_of(id) == worker::user_tag(user));
    Visit visit(worker, id);
    CHECK(visit.session().user() == user);
    worker.run(worker.state->sessions.end_all(user));
    CHECK_FALSE(is_alive(worker, id));
  }
  Visit visit(worker);
  Session session = visit.session();
  CHECK_THROWS_AS(session.login(""), std::invalid_argument);
  CHECK_THROWS_AS(session.login(std::string(1025, 'u')), std::invalid_argument);
  CHECK(visit.commit().empty());
}

// A mark that cannot be read must not count as none.
TEST_CASE("a mark of the wrong type in Redis keeps the sessions of its user out", "[session][users]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = login(worker, "ann");
  redis.command({"LPUSH", "app:u:{" + worker::user_tag("ann") + "}", "x"});
  Visit visit(worker, id);
  CHECK_THROWS_AS(visit.session(), RedisError);
}

// The session had been moved to an id that its client did not get, without an end.
TEST_CASE("a login that fails for a mark of the wrong type leaves the session as it was", "[session][users]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  const std::string before = redis.command({"DBSIZE"});
  redis.command({"LPUSH", "app:u:{" + worker::user_tag("ann") + "}", "x"});
  Visit visit(worker, id);
  visit.session().login("ann");
  CHECK_THROWS_AS(visit.commit(), RedisError);
  CHECK(redis.command({"EXISTS", key_of(id)}) == "1");
  redis.command({"DEL", "app:u:{" + worker::user_tag("ann") + "}"});
  CHECK(redis.command({"DBSIZE"}) == before);
}

TEST_CASE("an id with a user's tag that Redis does not know is not adopted", "[session][users]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) ids.insert(worker::new_session_id(worker::user_tag("ann")));
  CHECK(ids.size() == 100);
  for (const std::string& id : ids) {
    REQUIRE(worker::is_session_id(id));
    REQUIRE(worker::tag_of(id) == worker::user_tag("ann"));
    REQUIRE(worker::tag_of(worker::new_session_id()).empty());
  }
  CHECK_FALSE(is_alive(worker, *ids.begin()));
}

TEST_CASE("destroy_all throws while Redis is down", "[session][users]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Visit visit(worker, login(worker, "ann"));
  Session session = visit.session();
  redis.kill();
  CHECK(worker.wait([&worker] { return !worker.state->redis_up(); }));
  CHECK_THROWS_AS(worker.run(session.destroy_all()), RedisUnavailable);
}

// On a Redis Cluster, the session of a user is in another slot than the one that it had before.
TEST_CASE("on a cluster, login moves the session with its fields and flash values", "[session][users][cluster]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Config config = config_for("redis+cluster://a:1");
  config.session_lifetime = 1h;
  worker::SessionStore store(worker.state->redis.get(), config);
  const std::string before = new_session(worker);
  const auto act = [&](const std::string& cookie, auto change) {
    Visit visit(worker, cookie);
    visit.exchange.session = worker.run(store.load(visit.exchange));
    Session session(visit.exchange.session);
    change(session);
    Response response;
    worker.run(store.commit(visit.exchange, response));
    const std::string field(response.header("Set-Cookie").value_or(""));
    return field.empty() ? field : field.substr(8, 43);
  };
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto born = std::chrono::duration_cast<std::chrono::milliseconds>(now).count() - 1'000'000;
  redis.command({"HSET", key_of(before), "_pronghorn.born", std::to_string(born), "_pronghorn.sent", "1"});
  const std::string id = act(before, [](Session& session) {
    session.set("cart", "3");
    session.erase("none");
    session.flash("notice", "welcome");
    session.login("ann");
  });
  CHECK(redis.command({"EXISTS", key_of(before)}) == "0");
  CHECK(std::stoll(redis.command({"HGET", key_of(id), "_pronghorn.born"})) > born);  // a login starts it again
  CHECK(std::stoll(redis.command({"HGET", key_of(id), "_pronghorn.sent"})) > 1);
  const std::string rotated = act(id, [](Session& session) {
    CHECK(session.user() == "ann");
    CHECK(session.get("user") == "ann");
    CHECK(session.get("cart") == "3");
    CHECK(session.flash("notice") == "welcome");
    session.erase("cart");
    session.rotate();
  });
  CHECK(redis.command({"EXISTS", key_of(id)}) == "0");
  CHECK(worker::tag_of(rotated) == worker::user_tag("ann"));
  CHECK(std::stoll(redis.command({"PTTL", key_of(rotated)})) > 0);
  (void)act(rotated, [](Session& session) {
    CHECK(session.get("user") == "ann");
    CHECK_FALSE(session.has("cart"));
    CHECK_FALSE(session.flash("notice"));
  });
  worker.run(store.end_all("ann"));
  (void)act(rotated, [](Session& session) { CHECK(session.is_new()); });
}

TEST_CASE("on a cluster, a session that is destroyed while it gets a new id stays destroyed", "[session][cluster]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  const auto rotate = [](Session& session) { session.rotate(); };
  CHECK(move_while_it_ends(redis, worker, id, rotate).empty());
  CHECK(redis.command({"KEYS", "*"}).empty());
}

TEST_CASE("on a cluster, a login whose old session ends meanwhile takes nothing of it along", "[session][cluster]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  const auto log_in = [](Session& session) { session.login("bob"); };
  const std::string cookie = move_while_it_ends(redis, worker, id, log_in);
  REQUIRE(cookie.starts_with("session="));
  const std::string key = key_of(cookie.substr(8, 43));
  CHECK(redis.command({"HGET", key, "_pronghorn.user"}) == "bob");
  CHECK(redis.command({"HEXISTS", key, "user"}) == "0");
  CHECK(redis.command({"DBSIZE"}) == "1");
}
