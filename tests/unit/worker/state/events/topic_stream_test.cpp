// Server-sent events of a topic, as a client gets them.
#include <string>
#include <vector>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "pronghorn/topics.h"
#include "support/catch.h"
#include "support/processes/redis_process.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

Task<void> publish_for_ever(Worker& worker, std::string topic, PublishOptions options) {
  for (int i = 0;; ++i) {
    const std::string payload = std::to_string(i);
    (void)co_await worker.events().publish(topic, payload, options);
    co_await sleep_for(2ms);
  }
}

void setup(App& app) {
  app.get("/live/{topic}", [](Request& request) { return topic_stream(request, request.param("topic")); });
  app.get("/beat", [](Request& request) { return topic_stream(request, "silent", {.heartbeat = 1ms}); });
  app.on_start([](Worker& worker) {
    spawn(publish_for_ever(worker, "plain", {}));
    spawn(publish_for_ever(worker, "kept", {.history = 1000}));
  });
}

}  // namespace

TEST_CASE("a topic without a history is sent as events without ids", "[redis][events]") {
  RedisProcess redis;
  TestClient client(setup, {.redis = redis.url()});
  const auto events = client.events("/live/plain", 5);
  REQUIRE(events.size() == 5);
  for (std::size_t i = 1; i < 5; ++i) {
    CHECK(std::stoi(events[i].data) == std::stoi(events[i - 1].data) + 1);
    CHECK(events[i].id.empty());
    CHECK(events[i].event.empty());
  }
}

TEST_CASE("a client that reconnects with its last id gets every event once", "[redis][events]") {
  RedisProcess redis;
  TestClient client(setup, {.redis = redis.url()});
  std::string id;
  std::vector<int> numbers;
  for (int i = 0; i < 5; ++i) {
    TestClient::Headers headers;
    if (!id.empty()) headers.emplace_back("Last-Event-ID", id);
    for (const TestEvent& event : client.events("/live/kept", 4, headers)) {
      CHECK(event.event.empty());
      id = event.id;
      REQUIRE(id.size() > 17);
      if (!event.data.empty()) numbers.push_back(std::stoi(event.data));
    }
  }
  REQUIRE(numbers.size() >= 15);
  for (std::size_t i = 1; i < numbers.size(); ++i) CHECK(numbers[i] == numbers[i - 1] + 1);
}

TEST_CASE("a client is told where a topic with a history begins for it, before the first event", "[redis][events]") {
  RedisProcess redis;
  TestClient client(setup, {.redis = redis.url()});
  (void)client.events("/live/kept", 3);
  const auto events = client.events("/live/kept", 2);
  REQUIRE(events.size() == 2);
  CHECK(events[0].data.empty());
  CHECK(events[0].id.size() > 17);
  const auto offset = [](const std::string& id) { return std::stoi(id.substr(17)); };
  CHECK(offset(events[1].id) == offset(events[0].id) + 1);
}

TEST_CASE("a client whose last id nobody knows is told of a gap", "[redis][events]") {
  RedisProcess redis;
  TestClient client(setup, {.redis = redis.url()});
  (void)client.events("/live/kept", 3);
  const auto id = GENERATE(as<std::string>(), "0123456789abcdef-1", "x", "18446744073709551616-1");
  const auto events = client.events("/live/kept", 3, {{"Last-Event-ID", id}});
  REQUIRE(events.size() == 3);
  CHECK(events[0].event == "gap");
  CHECK(events[0].data == "lost");
}

TEST_CASE("a client is told of a gap once: it gets an id with it", "[redis][events]") {
  RedisProcess redis;
  TestClient client(
      [](App& app) {
        setup(app);
        app.post("/say/{topic}", [](Request& request) -> Task<Response> {
          co_await request.events().publish(request.param<std::string>("topic"), "said", {.history = 1000});
          co_return no_content();
        });
      },
      {.redis = redis.url()});
  for (int i = 0; i < 3; ++i) CHECK(client.post("/say/quiet", "").status == 204);
  const std::string last = client.events("/live/quiet", 1).at(0).id;
  std::string known = last.substr(0, last.find('-')) + "-1";
  std::string why = "expired";
  SECTION("of events that have expired") {}
  SECTION("of another history") {
    known = "0123456789abcdef-2";
    why = "lost";
  }
  const std::string keys = redis.command({"KEYS", "*:e:{quiet}:s"});
  CHECK(redis.command({"DEL", keys.substr(0, keys.find('\n'))}) == "1");
  const auto gap = client.events("/live/quiet", 1, {{"Last-Event-ID", known}}).at(0);
  CHECK(gap.event == "gap");
  CHECK(gap.data == why);
  CHECK(gap.id == last);
  CHECK(client.post("/say/quiet", "").status == 204);
  const auto next = client.events("/live/quiet", 1, {{"Last-Event-ID", gap.id}}).at(0);
  CHECK(next.event.empty());
  CHECK(next.data == "said");
}

TEST_CASE("an id is ignored by a topic without a history, unless it is one of ours", "[redis][events]") {
  RedisProcess redis;
  TestClient client(setup, {.redis = redis.url()});
  CHECK(client.events("/live/plain", 1, {{"Last-Event-ID", "x"}}).at(0).event.empty());
  CHECK(client.events("/live/plain", 1, {{"Last-Event-ID", "0123456789abcdef-1"}}).at(0).event == "gap");
}

TEST_CASE("a topic stream is a stream of events that nobody caches, and an invalid topic is not one",
          "[redis][events]") {
  RedisProcess redis;
  TestClient client(
      [](App& app) {
        app.get("/live/{topic}", [](Request& request) { return topic_stream(request, request.param("topic")); });
      },
      {.redis = redis.url(), .timeout = 300ms});
  CHECK(client.get("/live/a%0ab").status == 500);
  TestClient without_redis([](App& app) {
    app.get("/live/{topic}", [](Request& request) { return topic_stream(request, request.param("topic")); });
  });
  CHECK(without_redis.get("/live/a").status == 500);
}
