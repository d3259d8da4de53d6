// Presence, with the Redis that it is kept in.
#include <algorithm>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "pronghorn/presence.h"
#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/processes/redis_cluster.h"
#include "unit/worker/state/answering_server.h"
#include "unit/worker/state/events/event_fixture.h"
#include "worker/state/events/topics/topic_member.h"
#include "worker/state/presence/presence_service.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::PresenceService;
using worker::PresenceTimes;

namespace {

// Gets what is told in "presence:TOPIC".
class Observer final : public worker::TopicMember {
 public:
  std::vector<std::string> told;

  [[nodiscard]] std::string text() const {
    std::string all;
    for (const std::string& event : told) all += event;
    return all;
  }
  [[nodiscard]] std::ptrdiff_t times(const std::string& event) const { return std::ranges::count(told, event); }

 private:
  void event(const worker::EventPtr& event) override { told.push_back(event->payload()); }
  void gap(worker::Gap) override {}
};

struct Fixture : EventWorker {
  // The presence of another worker process, which shares our loop.
  std::unique_ptr<PresenceService> other(PresenceTimes times = {}) {
    return std::make_unique<PresenceService>(worker.state->redis.get(), worker.state->subscriber.get(),
                                             config_for(redis.url()), times);
  }
  std::uint64_t count(const std::string& topic = "t") {
    return worker.run(Presence(worker.state->presence, topic).count());
  }
  // "a=data b= " in the order of ids.
  std::string list(std::size_t limit = 100, const std::string& topic = "t") {
    const PresenceList list = worker.run(Presence(worker.state->presence, topic).list(limit));
    std::multiset<std::string> members;
    for (const PresentMember& member : list.members) members.insert(member.id + "=" + member.data + " ");
    std::string text;
    for (const std::string& member : members) text += member;
    return text;
  }
  bool wait_for(const std::string& expected) {
    const bool as_expected = worker.wait([&] { return list() == expected; });
    CHECK(list() == expected);
    return as_expected;
  }
  std::unique_ptr<Observer> observe(const std::string& topic = "t") {
    auto observer = std::make_unique<Observer>();
    observer->join(worker.state->events.topics(), "presence:" + topic);
    REQUIRE(worker.wait([&] { return observer->is_live(); }));
    return observer;
  }
  PresenceService& presence() { return worker.state->presence; }
};

constexpr PresenceTimes kOftenRenewed{.lease = 60s, .renewal = 50ms};

}  // namespace

TEST_CASE("who has joined is present on every worker, until it leaves", "[redis][presence]") {
  Fixture f;
  const auto other = f.other();
  CHECK(f.count() == 0);
  CHECK(f.list().empty());
  f.presence().join("t", "a", "Ann");
  f.presence().join("t", "b");
  other->join("t", "c", std::string("\0\n\xff", 3));
  other->join("elsewhere", "d");
  REQUIRE(f.wait_for("a=Ann b= c=" + std::string("\0\n\xff", 3) + " "));
  CHECK(f.count() == 3);
  CHECK(f.worker.run(other->count("t")) == 3);
  f.presence().join("t", "a", "Anna");
  f.presence().join("t", "b", "Bob");
  f.presence().leave("t", "c");
  REQUIRE(f.wait_for("a=Anna b=Bob "));
  f.presence().join("t", "b");
  f.presence().leave("t", "a");
  REQUIRE(f.wait_for("b= "));
  f.presence().leave("t", "b");
  REQUIRE(f.worker.wait([&] { return f.count() == 0; }));
  CHECK(f.redis.command({"EXISTS", "app:p:{t}", "app:p:{t}:d"}) == "0");
  CHECK(f.worker.run(Presence(f.presence(), "elsewhere").count()) == 1);
}

TEST_CASE("joining and leaving is told once", "[redis][presence]") {
  Fixture f;
  const auto observer = f.observe();
  const auto other = f.other(kOftenRenewed);
  other->join("t", "a");
  REQUIRE(f.worker.wait([&] { return observer->times(R"({"join":"a"})") == 1; }));
  other->join("t", "a", "again");
  REQUIRE(f.wait_for("a=again "));
  f.worker.turn(200ms);  // renewals
  other->leave("t", "nobody");
  other->join("t", "b");
  other->leave("t", "b");  // before anybody knew of it
  other->leave("t", "a");
  REQUIRE(f.worker.wait([&] { return observer->times(R"({"leave":"a"})") == 1; }));
  other->leave("t", "a");
  other->join("t", "last");
  REQUIRE(f.worker.wait([&] { return observer->times(R"({"join":"last"})") == 1; }));
  CHECK(observer->text() == R"({"join":"a"}{"leave":"a"}{"join":"last"})");
}

TEST_CASE("a member that moves to another worker is present all the time, and nobody is told", "[redis][presence]") {
  Fixture f;
  const auto observer = f.observe();
  auto before = f.other(kOftenRenewed);
  before->join("t", "a", "data");
  REQUIRE(f.wait_for("a=data "));
  const auto after = f.other(kOftenRenewed);
  if (GENERATE(true, false)) {
    before->release("t", "a");  // handed over
  } else {
    before.reset();  // killed
  }
  f.worker.turn(100ms);
  CHECK(f.count() == 1);
  after->join("t", "a", "data");
  f.worker.turn(100ms);
  CHECK(f.list() == "a=data ");
  CHECK(observer->text() == R"({"join":"a"})");
  after->leave("t", "a");
  REQUIRE(f.worker.wait([&] { return f.count() == 0; }));
  REQUIRE(f.worker.wait([&] { return observer->told.size() == 2; }));
}

TEST_CASE("a member that nobody renews is gone when its lease ends, and that is told", "[redis][presence]") {
  Fixture f;
  const auto observer = f.observe();
  auto gone = f.other({.lease = 300ms, .renewal = 50ms});
  gone->join("t", "a", "data");
  f.presence().join("t", "b");
  REQUIRE(f.worker.wait([&] { return observer->text().find(R"("join":"a")") != std::string::npos; }));
  REQUIRE(f.worker.wait([&] { return observer->text().find(R"("join":"b")") != std::string::npos; }));
  gone.reset();
  REQUIRE(f.worker.wait([&] { return f.list() == "b= "; }));
  REQUIRE(f.worker.wait([&] { return observer->told.back() == R"({"leave":"a"})"; }));
  CHECK(f.redis.command({"HLEN", "app:p:{t}:d"}) == "0");
  CHECK(f.count() == 1);
}

TEST_CASE("members are renewed, and what Redis has lost comes back", "[redis][presence]") {
  Fixture f;
  const auto service = f.other(kOftenRenewed);
  service->join("t", "a", "data");
  REQUIRE(f.wait_for("a=data "));
  const std::string first = f.redis.command({"ZSCORE", "app:p:{t}", "a"});
  CHECK(f.worker.wait([&] { return f.redis.command({"ZSCORE", "app:p:{t}", "a"}) > first; }));
  CHECK(std::stoll(f.redis.command({"PTTL", "app:p:{t}"})) > 60'000);
  f.redis.command({"FLUSHALL"});
  f.wait_for("a=data ");
}

TEST_CASE("members come back soon after Redis was away", "[redis][presence]") {
  Fixture f;
  const auto service = f.other({.lease = 60s, .renewal = 24s});  // the usual renewal is too late for this test
  service->join("t", "a", "data");
  service->join("t", "b");
  REQUIRE(f.worker.wait([&] { return f.count() == 2; }));
  REQUIRE(f.worker.wait([&] { return f.redis.command({"PUBSUB", "NUMSUB", "app:p"}).ends_with("\n1"); }));
  f.redis.stop();
  REQUIRE(f.worker.wait([&] { return !f.worker.state->redis_up(); }));
  CHECK_THROWS_AS(f.count(), RedisUnavailable);
  CHECK_THROWS_AS(f.list(), RedisUnavailable);
  service->join("t", "c", "meanwhile");
  service->leave("t", "b");
  service->join("t", "d");
  service->release("t", "d");
  f.worker.turn(20ms);
  f.redis.restart();
  REQUIRE(f.worker.wait([&] { return f.worker.state->redis_up(); }));
  f.wait_for("a=data c=meanwhile ");
}

TEST_CASE("what Redis has refused is repeated soon", "[redis][presence]") {
  Fixture f;
  f.presence().join("t", "a");
  REQUIRE(f.wait_for("a= "));
  f.redis.command({"CONFIG", "SET", "maxmemory", "1"});
  f.presence().join("t", "b");
  f.presence().leave("t", "a");
  REQUIRE(f.worker.wait([&] { return !f.worker.state->redis_up(); }));
  f.redis.command({"CONFIG", "SET", "maxmemory", "0"});
  f.wait_for("b= ");
}

TEST_CASE("one call of Redis serves many members, and a list is as long as is asked for", "[redis][presence]") {
  Fixture f;
  f.worker.turn(5ms);
  f.redis.command({"CONFIG", "RESETSTAT"});
  for (int i = 0; i < 3000; ++i) f.presence().join("t", "socket-" + std::to_string(i), std::to_string(i));
  f.presence().leave("t", "socket-0");
  REQUIRE(f.worker.wait([&] { return f.redis.command({"ZCARD", "app:p:{t}"}) == "2999"; }));
  const std::string stats = f.redis.command({"INFO", "commandstats"});
  const auto calls = [&stats](const std::string& name) {
    const std::size_t at = stats.find("cmdstat_" + name + ":calls=");
    return at == std::string::npos ? 0 : std::stoi(stats.substr(at + name.size() + 15));
  };
  CHECK(calls("eval") + calls("evalsha") <= 14);
  CHECK(f.count() == 2999);
  const PresenceList some = f.worker.run(Presence(f.presence(), "t").list(7));
  CHECK(some.members.size() == 7);
  CHECK(some.count == 2999);
  for (const PresentMember& member : some.members) CHECK(member.id == "socket-" + member.data);
  CHECK(f.worker.run(Presence(f.presence(), "t").list(0)).members.empty());
  CHECK(f.worker.run(Presence(f.presence(), "t").list(1'000'000)).members.size() == 2999);
}

TEST_CASE("pages list all members of a large topic", "[redis][presence]") {
  Fixture f;
  Presence presence(f.presence(), "t");
  CHECK(f.worker.run(presence.page()).members.empty());
  CHECK(f.worker.run(presence.page()).next.empty());
  for (int i = 0; i < 5000; ++i) f.presence().join("t", "socket-" + std::to_string(i), std::to_string(i));
  REQUIRE(f.worker.wait([&] { return f.redis.command({"ZCARD", "app:p:{t}"}) == "5000"; }));
  f.redis.command({"ZADD", "app:p:{t}", "1", "whose lease has ended"});
  std::set<std::string> ids;
  std::string cursor;
  int pages = 0;
  do {
    const PresencePage page = f.worker.run(presence.page(cursor));
    CHECK(page.members.size() < 2000);
    for (const PresentMember& member : page.members) {
      CHECK(member.id == "socket-" + member.data);
      ids.insert(member.id);
    }
    cursor = page.next;
    ++pages;
  } while (!cursor.empty());
  CHECK(ids.size() == 5000);
  CHECK(pages >= 3);
  for (const char* wrong : {"x", "-1", "1 ", "18446744073709551616"}) {
    CHECK_THROWS_AS(f.worker.run(presence.page(wrong)), std::invalid_argument);
  }
  CHECK(f.worker.run(presence.page("18446744073709551615")).members.size() <= 5000);  // as Redis takes it
}

TEST_CASE("topics and ids may have any bytes that are allowed", "[redis][presence]") {
  Fixture f;
  const std::string topic = "{*}?[a]\\ \"x\xff";
  const std::string id = "a\"}{\\'\xe4";
  const auto observer = f.observe(topic);
  f.presence().join(topic, id, "{}");
  REQUIRE(f.worker.wait([&] { return !observer->told.empty(); }));
  CHECK(observer->told[0] == "{\"join\":\"a\\\"}{\\\\'\xe4\"}");
  CHECK(f.list(100, topic) == id + "={} ");
  const std::string long_topic(kMaxTopic, 'x');
  f.presence().join(long_topic, "a");
  CHECK(f.worker.wait([&] { return f.count(long_topic) == 1; }));
}

TEST_CASE("presence refuses what it cannot keep", "[redis][presence]") {
  Fixture f;
  CHECK_THROWS_AS(f.presence().join("", "a"), std::invalid_argument);
  CHECK_THROWS_AS(f.presence().join("a\nb", "a"), std::invalid_argument);
  CHECK_THROWS_AS(f.presence().join("t", ""), std::invalid_argument);
  CHECK_THROWS_AS(f.presence().join("t", "a\rb"), std::invalid_argument);
  CHECK_THROWS_AS(f.presence().join("t", std::string(PresenceService::kMaxId + 1, 'a')), std::invalid_argument);
  CHECK_THROWS_AS(f.presence().join("t", "a", std::string(kMaxPresenceData + 1, 'a')), std::invalid_argument);
  CHECK_THROWS_AS(f.presence().leave("t", ""), std::invalid_argument);
  CHECK_THROWS_AS(Presence(f.presence(), "a\nb"), std::invalid_argument);
  f.presence().release("t", "");
  PresenceService without_redis(nullptr, nullptr, config_for("none"));
  without_redis.join("t", "a");
  without_redis.release("t", "a");
  without_redis.leave("t", "a");
}

TEST_CASE("keys that hold something else are an error, and members come when that is repaired", "[redis][presence]") {
  Fixture f;
  const auto key = GENERATE(as<std::string>(), "app:p:{t}", "app:p:{t}:d");
  f.redis.command({"SET", key, "x"});
  const auto service = f.other(kOftenRenewed);
  service->join("t", "a", "data");
  f.worker.turn(100ms);
  CHECK_THROWS_AS(f.list(), RedisError);
  f.redis.command({"DEL", key});
  f.wait_for("a=data ");
}

// They waited for the next renewal, which is 15 to 20 seconds away.
TEST_CASE("members do not wait for a renewal when what was wrong in Redis is repaired", "[redis][presence]") {
  Fixture f;
  f.redis.command({"SET", "app:p:{t}", "x"});
  f.presence().join("t", "a");
  f.worker.turn(100ms);
  CHECK_THROWS_AS(f.list(), RedisError);
  f.redis.command({"DEL", "app:p:{t}"});
  f.wait_for("a= ");
}

TEST_CASE("a list with a count that is none is an error of Redis", "[presence]") {
  const auto reply =
      GENERATE(as<std::string>(), "*1\r\n$8\r\nnonsense\r\n", "*1\r\n$0\r\n\r\n", "*1\r\n:-1\r\n", "*0\r\n", ":1\r\n");
  AnsweringServer server(
      [&](const std::vector<std::string>& words) { return words[0].starts_with("EVAL") ? reply : "+OK\r\n"; });
  StateWorker worker("unix:" + server.socket());
  worker.ready();
  CHECK_THROWS_AS(worker.run(Presence(worker.state->presence, "t").list(5)), RedisError);
}

TEST_CASE("members that others have put into Redis do no harm", "[redis][presence]") {
  Fixture f;
  f.redis.command({"ZADD", "app:p:{t}", "inf", std::string(100'000, 'x'), "-inf", "old", "0", ""});
  f.redis.command({"HSET", "app:p:{t}:d", "nobody", "x"});
  f.presence().join("t", "a", "data");
  CHECK(f.worker.wait([&] { return f.count() == 2; }));
  CHECK(f.list().starts_with("a=data "));
}

TEST_CASE("presence works in a cluster", "[redis][cluster][presence]") {
  RedisCluster cluster({.replicas = 0, .node_timeout = 15s, .arguments = {}});
  StateWorker worker(config_for(cluster.url()));
  worker.ready();
  for (int i = 0; i < 20; ++i) worker.state->presence.join("room:" + std::to_string(i), "a", "data");
  for (int i = 0; i < 20; ++i) {
    Presence presence(worker.state->presence, "room:" + std::to_string(i));
    REQUIRE(worker.wait([&] { return worker.run(presence.count()) == 1; }));
    CHECK(worker.run(presence.list()).members.at(0).data == "data");
  }
}

TEST_CASE("the application asks who is present from requests", "[redis][presence]") {
  RedisProcess redis;
  TestClient client(
      [](App& app) {
        app.get("/{topic}", [](Request& request) -> Task<Response> {
          const std::uint64_t count = co_await request.presence(request.param("topic")).count();
          const PresenceList list = co_await request.worker().presence("b").list();
          co_return text(std::to_string(count) + " " + std::to_string(list.members.size()));
        });
      },
      {.redis = redis.url()});
  redis.command({"ZADD", "test:p:{a}", "inf", "x", "inf", "y"});
  redis.command({"ZADD", "test:p:{b}", "inf", "x"});
  CHECK(client.get("/a").body == "2 1");
  CHECK(client.get("/a%0ab").status == 500);
}
