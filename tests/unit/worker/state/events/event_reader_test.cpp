// Events::publish() and EventReader.
#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "unit/worker/state/events/event_fixture.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

// A reader whose events are collected by a task.
struct Collected {
  std::vector<Event> events;
  Task<void> task;

  [[nodiscard]] std::string text() const {
    std::string all;
    for (const Event& event : events) all += (event.gap ? "!" : "") + event.payload + " ";
    return all;
  }
};

Task<void> collect(EventReader reader, std::vector<Event>& into) {
  for (;;) into.push_back(co_await reader.next());
}

struct Fixture : EventWorker {
  std::unique_ptr<Collected> read(std::string_view topic, const EventReadOptions& options = {}) {
    auto collected = std::make_unique<Collected>();
    collected->task = collect(events().read(topic, options), collected->events);
    collected->task.start();
    return collected;
  }
  // Publishes until the reader gets something: it has begun then.
  void begun(Collected& collected, PublishOptions options = {}) {
    subscribed();
    REQUIRE(worker.wait([&] {
      publish("t", "begin", options);
      worker.turn(2ms);
      return !collected.events.empty();
    }));
    worker.turn(20ms);
    collected.events.clear();
  }
  // After Redis was away: publishes until the reader gets something.
  void publish_until(Collected& collected, PublishOptions options = {}) {
    REQUIRE(worker.wait([&] {
      try {
        publish("t", "a", options);
      } catch (const RedisUnavailable&) {
        worker.turn(10ms);
      }
      return !collected.events.empty();
    }));
  }
  bool wait_for(Collected& collected, const std::string& text) {
    const bool got = worker.wait([&] { return collected.text() == text; });
    CHECK(collected.text() == text);
    return got;
  }
};

}  // namespace

TEST_CASE("what is published reaches every reader of the topic, in order", "[redis][events]") {
  Fixture f;
  const auto one = f.read("t");
  f.begun(*one);
  const auto two = f.read("t");
  const auto other = f.read("other");
  f.subscribed("other");
  CHECK(f.publish("t", "a").receivers == 1);
  CHECK(f.publish("t", "b").id.empty());
  CHECK(f.publish("nobody", "x").receivers == 0);
  f.wait_for(*one, "a b ");
  f.wait_for(*two, "a b ");
  CHECK(one->events[0].topic == "t");
  CHECK(other->events.empty());
  CHECK((*f.worker.row)[Count::events_published].load() >= 3);
  CHECK((*f.worker.row)[Count::events_delivered].load() >= 4);
}

TEST_CASE("topics and payloads may hold any bytes that are allowed", "[redis][events]") {
  Fixture f;
  const std::string topic = "*?[a]\\ {x}\xff";
  const std::string payload("\0\r\n\xfe*3\r\n", 8);
  const auto reader = f.read(topic);
  f.subscribed(topic);
  REQUIRE(f.worker.wait([&] {
    f.publish(topic, payload);
    return !reader->events.empty();
  }));
  CHECK(reader->events[0].payload == payload);
  CHECK(reader->events[0].topic == topic);
  const auto kept = f.read("kept");
  f.subscribed("kept");
  REQUIRE(f.worker.wait([&] {
    f.publish("kept", payload, kKept);
    return !kept->events.empty();
  }));
  CHECK(kept->events[0].payload == payload);
}

TEST_CASE("publish() refuses what it cannot promise", "[redis][events]") {
  Fixture f;
  CHECK_THROWS_AS(f.publish("", "x"), std::invalid_argument);
  CHECK_THROWS_AS(f.publish("a\nb", "x"), std::invalid_argument);
  CHECK_THROWS_AS(f.publish("t", std::string(kMaxEventPayload + 1, 'x')), std::invalid_argument);
  CHECK_THROWS_AS(f.publish("t", "x", {.history = kMaxEventHistory + 1}), std::invalid_argument);
  CHECK_THROWS_AS(f.publish("t", "x", {.history = 1, .keep = 10ms}), std::invalid_argument);
  CHECK_THROWS_AS(f.events().read("a\nb"), std::invalid_argument);
  CHECK(f.publish("t", std::string(kMaxEventPayload, 'x'), kKept).id.size() > 16);
  f.redis.command({"SET", "app:e:{t}", "x"});
  CHECK_THROWS_AS(f.publish("t", "x", kKept), RedisError);
  f.redis.stop();
  CHECK(f.worker.wait([&] { return !f.worker.state->redis_up(); }));
  CHECK_THROWS_AS(f.publish("t", "x"), RedisUnavailable);
}

TEST_CASE("a reader continues after the last event that it has seen, without a gap or a duplicate", "[redis][events]") {
  Fixture f;
  std::vector<std::string> ids;
  for (int i = 0; i < 200; ++i) ids.push_back(f.publish("t", std::to_string(i), kKept).id);
  const auto keeps_topic = f.read("t");  // the topic is known to the worker, or not
  if (GENERATE(true, false)) f.begun(*keeps_topic, kKept);
  const std::size_t seen = GENERATE(as<std::size_t>(), 0, 100, 199);
  const auto reader = f.read("t", {.after = ids[seen]});
  std::vector<std::string> expected;
  for (std::size_t i = seen + 1; i < 200; ++i) expected.push_back(std::to_string(i));
  for (int i = 0; i < 20; ++i) {  // while it reads the history
    f.publish("t", "live" + std::to_string(i), kKept);
    expected.push_back("live" + std::to_string(i));
  }
  const auto payloads = [&] {
    std::vector<std::string> texts;
    for (const Event& event : reader->events) {
      if (event.payload != "begin") texts.push_back(event.payload);
    }
    return texts;
  };
  CHECK(f.worker.wait([&] { return payloads().size() >= expected.size(); }));
  CHECK(payloads() == expected);
  CHECK(std::ranges::none_of(reader->events, [](const Event& event) { return event.gap; }));
}

TEST_CASE("a reader is told if it cannot continue", "[redis][events]") {
  Fixture f;
  const std::string first = f.publish("t", "0", {.history = 10}).id;
  std::string after = first;
  SECTION("because the history does not reach back so far") {
    for (int i = 1; i < 500; ++i) f.publish("t", std::to_string(i), {.history = 10});
  }
  SECTION("because the history was lost") {
    f.redis.command({"FLUSHALL"});
    f.publish("t", "499", kKept);
  }
  SECTION("because its last event was never published") {
    after = first.substr(0, 17) + "500";
    f.worker.turn(1ms);
  }
  SECTION("because it has an id of something else") { after = "1700000000-5"; }
  const auto reader = f.read("t", {.after = after});
  f.subscribed();
  f.worker.turn(20ms);
  f.publish("t", "last", kKept);
  REQUIRE(f.worker.wait([&] { return !reader->events.empty() && reader->events.back().payload == "last"; }));
  CHECK(reader->events.front().gap);
  CHECK(std::ranges::count_if(reader->events, [](const Event& event) { return event.gap; }) == 1);
}

TEST_CASE("a reader of a topic without a history is told of an interruption", "[redis][events]") {
  Fixture f;
  const auto reader = f.read("t");
  f.begun(*reader);
  f.redis.restart();
  f.subscribed();
  f.publish_until(*reader);
  CHECK(reader->events.front().gap);
  f.publish("t", "b");
  REQUIRE(f.worker.wait([&] { return reader->events.back().payload == "b"; }));
  CHECK_FALSE(reader->events.back().gap);
  CHECK((*f.worker.row)[Count::events_gaps].load() == 1);
}

TEST_CASE("with a history an interruption of the subscription loses nothing", "[redis][events]") {
  Fixture f;
  const auto reader = f.read("t");
  f.begun(*reader, kKept);
  std::string expected;
  for (int i = 0; i < 150; ++i) {
    if (i == 50) f.redis.command({"CLIENT", "KILL", "TYPE", "PUBSUB"});
    f.publish("t", std::to_string(i), kKept);
    expected += std::to_string(i) + " ";
  }
  f.wait_for(*reader, expected);
}

TEST_CASE("a reader is told when Redis has lost the history", "[redis][events]") {
  Fixture f;
  const auto reader = f.read("t");
  f.begun(*reader, kKept);
  f.redis.restart();
  f.publish_until(*reader, kKept);
  CHECK(reader->events.front().gap);
}

TEST_CASE("a reader that begins while Redis is away gets what is published when it is back", "[redis][events]") {
  Fixture f;
  f.redis.stop();
  REQUIRE(f.worker.wait([&] { return !f.worker.state->redis_up(); }));
  const auto reader = f.read("t");
  f.worker.turn(50ms);
  f.redis.restart();
  f.subscribed();
  f.publish_until(*reader);
  CHECK(reader->events.front().payload == "a");
}

TEST_CASE("messages that are not events of ours change nothing", "[redis][events]") {
  Fixture f;
  const auto reader = f.read("t");
  f.begun(*reader, kKept);
  const std::string id = f.publish("t", "a", kKept).id;
  for (const char* message : {"", "x", "k", "knot an id\nx", "k0123456789abcdef-5\nanother epoch"}) {
    f.redis.command({"PUBLISH", "app:e:t", message});
  }
  f.redis.command({"PUBLISH", "app:e:t", "k" + id + "\na duplicate"});
  f.redis.command({"PUBLISH", "app:e:t", "k" + id.substr(0, 17) + "999999\nthe future"});
  f.publish("t", "b", kKept);
  f.wait_for(*reader, "a b ");
  CHECK((*f.worker.row)[Count::events_dropped].load() == 4);
}

TEST_CASE("keys that hold something else do not disturb a topic without a history", "[redis][events]") {
  Fixture f;
  f.redis.command({"SET", "app:e:{t}", "x"});
  const auto reader = f.read("t");
  f.begun(*reader);
  f.publish("t", "a");
  f.wait_for(*reader, "a ");
}

TEST_CASE("a reader that does not take its events misses the oldest, and others miss none", "[redis][events]") {
  Fixture f;
  const auto fast = f.read("t");
  f.begun(*fast);
  EventReader slow = f.events().read("t", {.queue = 64});
  std::string expected;
  for (int i = 0; i < 300; ++i) {
    f.publish("t", std::to_string(i));
    expected += std::to_string(i) + " ";
  }
  f.wait_for(*fast, expected);
  const Event first = f.worker.run(slow.next());
  CHECK(first.gap);
  CHECK(first.payload == std::to_string(300 - 64));
  CHECK_FALSE(f.worker.run(slow.next()).gap);
  CHECK((*f.worker.row)[Count::events_dropped].load() == 300 - 64);
}

TEST_CASE("the memory of a slow reader is bounded by bytes too", "[redis][events]") {
  Fixture f;
  const auto fast = f.read("t");
  f.begun(*fast);
  EventReader slow = f.events().read("t", {.queue = 100'000});
  const std::string large(kMaxEventPayload, 'x');
  for (int i = 0; i < 8; ++i) f.publish("t", large);
  REQUIRE(f.worker.wait([&] { return fast->events.size() == 8; }));
  int left = 0;
  Task<Event> next = slow.next();
  for (next.start(); next.done(); next.start()) {
    ++left;
    next = slow.next();
  }
  CHECK(left == 4);
}

// Such a reader once got nothing until the next interruption.
TEST_CASE("a reader may begin while the topic delivers what has arrived during an interruption", "[redis][events]") {
  Fixture f;
  const auto one = f.read("t");
  f.begun(*one);
  f.redis.command({"CLIENT", "KILL", "TYPE", "PUBSUB"});
  f.subscribed();
  for (int i = 0; i < 200; ++i) f.redis.command({"PUBLISH", "app:e:t", "p" + std::to_string(i)});
  REQUIRE(f.worker.wait([&] { return !one->events.empty(); }));
  const auto two = f.read("t");
  REQUIRE(f.worker.wait([&] { return one->events.back().payload == "199"; }));
  f.worker.turn(20ms);
  f.publish("t", "last");
  REQUIRE(f.worker.wait([&] { return !two->events.empty() && two->events.back().payload == "last"; }));
}

TEST_CASE("a worker unsubscribes from a topic that nobody reads", "[redis][events]") {
  Fixture f;
  auto reader = f.read("t");
  f.begun(*reader);
  reader.reset();
  CHECK(f.worker.wait([&] { return f.redis.command({"PUBSUB", "NUMSUB", "app:e:t"}).ends_with("\n0"); }));
  reader = f.read("t");
  f.begun(*reader);
}

TEST_CASE("readers may leave and come while events are delivered", "[redis][events]") {
  Fixture f;
  std::vector<std::unique_ptr<Collected>> readers;
  for (int i = 0; i < 5; ++i) readers.push_back(f.read("t"));
  f.begun(*readers[0]);
  // One that ends all others, and itself by its end.
  const auto ends_all = [&]() -> Task<void> {
    EventReader reader = f.events().read("t");
    (void)co_await reader.next();
    for (auto& other : readers) other.reset();
    readers.push_back(f.read("t"));
  };
  Task<void> task = ends_all();
  task.start();
  f.publish("t", "a");
  REQUIRE(f.worker.wait([&] { return task.done(); }));
  REQUIRE(f.worker.wait([&] {
    f.publish("t", "b");
    return !readers.back()->events.empty();
  }));
}
