// App::on_event().
#include <memory>
#include <stdexcept>
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

struct Seen {
  std::vector<std::string> texts;
};

Task<Response> publish(Request& request) {
  const Published published =
      co_await request.events().publish(std::string(request.param("topic")), std::string(co_await request.body()));
  co_return text(std::to_string(published.receivers.value_or(-1)));
}

// Answers once `count` events were seen.
Task<Response> seen(Request& request) {
  const auto count = request.param<std::size_t>("count");
  while (request.state<Seen>().texts.size() < count) co_await sleep_for(1ms);
  std::string all;
  for (const std::string& text : request.state<Seen>().texts) all += text + " ";
  co_return text(all);
}

void add_routes(App& app) {
  app.state<Seen>();
  app.post("/publish/{topic}", publish);
  app.get("/seen/{count}", seen);
}

// Publishes until somebody receives it: subscriptions are made after the start.
void publish_until_received(TestClient& client, const std::string& topic, int receivers = 1) {
  while (client.post("/publish/" + topic, "first").body != std::to_string(receivers)) {
  }
}

}  // namespace

TEST_CASE("a handler of events may be any of the documented functions", "[redis][events]") {
  RedisProcess redis;
  TestClient client(
      [](App& app) {
        add_routes(app);
        const auto note = [](Worker& worker, const char* kind, const Event& event) {
          worker.state<Seen>().texts.push_back(std::string(kind) + "=" + event.topic + ":" + event.payload);
        };
        static Worker* self = nullptr;
        app.on_start([](Worker& worker) { self = &worker; });
        app.on_event("a.*", [note](const Event& event, Worker& worker) { note(worker, "1", event); });
        app.on_event("a.x", [note](Event event, Worker& worker) -> Task<void> {
          co_await sleep_for(1ms);
          note(worker, "2", event);
        });
        app.on_event("*", [note](const Event& event) { note(*self, "3", event); });
        app.on_event("b?", [note](Event event) -> Task<void> {
          co_await sleep_for(1ms);
          note(*self, "4", event);
        });
      },
      {.redis = redis.url()});
  publish_until_received(client, "a.x", 3);
  client.post("/publish/b%3F", "y");
  client.post("/publish/b_", "z");
  const std::string all = client.get("/seen/6").body;
  for (const char* text : {"1=a.x:first", "2=a.x:first", "3=a.x:first", "3=b?:y", "3=b_:z"}) {
    CAPTURE(text, all);
    CHECK(all.find(text) != std::string::npos);
  }
}

TEST_CASE("the events of one on_event() are handled in order and one at a time, and an exception ends only its own",
          "[redis][events]") {
  RedisProcess redis;
  TestClient client(
      [](App& app) {
        add_routes(app);
        app.on_event("t", [](Event event, Worker& worker) -> Task<void> {
          worker.state<Seen>().texts.push_back("<" + event.payload);
          co_await sleep_for(1ms);
          worker.state<Seen>().texts.push_back(event.payload + ">");
          if (event.payload == "1") throw std::runtime_error("no");
        });
      },
      {.redis = redis.url()});
  publish_until_received(client, "t");
  std::string expected = "<first first> ";
  for (int i = 0; i < 5; ++i) {
    client.post("/publish/t", std::to_string(i));
    expected += "<" + std::to_string(i) + " " + std::to_string(i) + "> ";
  }
  CHECK(client.get("/seen/12").body == expected);
}

TEST_CASE("events that find the queue of a slow handler full are dropped, and it is told", "[redis][events]") {
  RedisProcess redis;
  TestClient client(
      [](App& app) {
        add_routes(app);
        app.post("/go", [](Request& request) {
          request.state<bool>() = true;
          return no_content();
        });
        app.state<bool>([] { return false; });
        app.on_event("t", [](Event event, Worker& worker) -> Task<void> {
          while (!worker.state<bool>()) co_await sleep_for(1ms);
          if (event.gap || event.payload == "last") worker.state<Seen>().texts.push_back(event.payload);
        });
      },
      {.redis = redis.url()});
  publish_until_received(client, "t");
  for (int i = 0; i < 1500; ++i) client.post("/publish/t", "x");
  client.post("/go");
  client.post("/publish/t", "last");
  while (client.get("/seen/0").body.find("last") == std::string::npos) client.post("/publish/t", "last");
  CHECK(client.get("/seen/1").body.starts_with("last "));  // the first after the gap
}

TEST_CASE("a handler that is empty or a pattern that is none does not start the worker", "[events]") {
  const auto with = [](const std::string& pattern, bool empty) {
    return [pattern, empty](App& app) {
      void (*function)(const Event&) = nullptr;
      if (!empty) function = [](const Event&) {};
      app.on_event(pattern, function);
    };
  };
  CHECK_THROWS_AS(TestClient(with("t", true)), std::invalid_argument);
  CHECK_THROWS_AS(TestClient(with("", false)), std::invalid_argument);
  CHECK_THROWS_AS(TestClient(with("a\nb", false)), std::invalid_argument);
  CHECK_NOTHROW(TestClient(with("t", false)));  // without Redis it gets no events
}
