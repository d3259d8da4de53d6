#include <set>
#include <vector>

#include "unit/worker/state/sessions/stored_session.h"

using namespace pronghorn;
using namespace pronghorn::test;

TEST_CASE("a field set by one request is read by the next, in one round trip", "[session]") {
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

  Visit(worker, id).session();  // the first time that the cookie comes back
  const auto before = (*worker.row)[Count::redis_commands].load();
  Visit second(worker, id);
  Session session = second.session();
  CHECK_FALSE(session.is_new());
  CHECK(session.get("user") == "ann");
  CHECK_FALSE(session.has("_pronghorn.sent"));
  CHECK(second.commit().empty());
  CHECK((*worker.row)[Count::redis_commands].load() - before == 2);  // HGETALL and PTTL, sent together
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

TEST_CASE("increment creates a session, continues from a value set before, and is exact for large numbers",
          "[session]") {
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
  Visit counting(worker);
  Session counter = counting.session();
  CHECK(worker.run(counter.increment("n")) == 1);
  // Its cookie is sent with this response, and not again until it is old.
  CHECK(redis.command({"HEXISTS", key_of(counting.commit_id()), "_pronghorn.sent"}) == "1");
  CHECK(std::stol(redis.command({"PTTL", key_of(id)})) > 0);
}

// It stayed in Redis for ever.
TEST_CASE("an increment that Redis refuses leaves no session behind", "[session]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Visit visit(worker);
  Session session = visit.session();
  session.set("word", "abc");
  CHECK_THROWS_AS(worker.run(session.increment("word")), RedisError);
  session.set("most", "9223372036854775807");
  CHECK_THROWS_AS(worker.run(session.increment("most")), RedisError);
  CHECK(redis.command({"DBSIZE"}) == "0");
}

TEST_CASE("the reserved field name is rejected", "[session]") {
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
