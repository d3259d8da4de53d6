#include "worker/state/events/messages/topic_names.h"

#include <stdexcept>
#include <string>

#include "pronghorn/topics.h"
#include "unit/worker/state/state_worker.h"
#include "worker/state/events/messages/event_message.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::parse_message;
using worker::parse_position;
using worker::Position;
using worker::TopicNames;

TEST_CASE("a topic has 1 to 256 bytes and no control characters", "[events]") {
  CHECK(is_topic("a"));
  CHECK(is_topic("user.created"));
  CHECK(is_topic("*?[x]\\^ \xff {a}"));
  CHECK(is_topic(std::string(256, 'x')));
  CHECK_FALSE(is_topic(""));
  CHECK_FALSE(is_topic(std::string(257, 'x')));
  CHECK_FALSE(is_topic("a\nb"));
  CHECK_FALSE(is_topic(std::string_view("a\0b", 3)));
  CHECK_FALSE(is_topic("a\x7f"));
  CHECK_THROWS_AS(worker::require_topic("a\rb"), std::invalid_argument);
  CHECK_THROWS_AS(worker::require_pattern(""), std::invalid_argument);
}

TEST_CASE("the keys of a topic's history share a hash tag and have a bounded length", "[events]") {
  const TopicNames names("shop");
  CHECK(names.facts_key("orders") == "shop:e:{orders}");
  CHECK(names.stream_key("orders") == "shop:e:{orders}:s");
  CHECK(names.channel("orders") == "shop:e:orders");
  CHECK(names.topic("shop:e:orders") == "orders");
  CHECK(names.topic("shop:x:orders").empty());
  const std::string hostile = names.facts_key("a}{b" + std::string(252, '\xfe'));
  CHECK(hostile.size() < 64);
  CHECK(hostile.find('}') == hostile.size() - 1);
  CHECK(names.facts_key("a{b") != names.facts_key("a}b"));
}

// Redis passes what is published on to subscribers whatever their database is.
TEST_CASE("topics of two databases of one Redis are apart", "[events]") {
  const RedisProcess redis({.password = {}, .tcp = true, .arguments = {}});
  const std::string url = "redis://127.0.0.1:" + std::to_string(redis.port());
  StateWorker production(url + "/1");
  StateWorker staging(url + "/2");
  production.ready();
  staging.ready();
  EventReader reader = Events(production.state->events).read("orders");
  Task<Event> next = reader.next();
  production.make_current();
  next.start();
  CHECK(production.wait([&] { return redis.command({"PUBSUB", "NUMSUB", "app:e@1:orders"}).ends_with("\n1"); }));
  CHECK(staging.run(Events(staging.state->events).publish("orders", "staging")).receivers == 0);
  CHECK(staging.run(Events(staging.state->events).publish("orders", "staging", {.history = 10})).receivers == 0);
  CHECK(production.run(Events(production.state->events).publish("orders", "production")).receivers == 1);
  CHECK(production.finish(next).payload == "production");
}

TEST_CASE("only '*' is special in a pattern", "[redis][events]") {
  const TopicNames names("shop");
  RedisProcess redis;
  const auto matches = [&](const std::string& pattern, const std::string& topic) {
    // KEYS matches like PSUBSCRIBE.
    redis.command({"FLUSHALL"});
    redis.command({"SET", names.channel(topic), "1"});
    return redis.command({"KEYS", names.glob(pattern)}) == names.channel(topic);
  };
  CHECK(matches("user.*", "user.created"));
  CHECK(matches("*", "anything at all"));
  CHECK(matches("a*c*", "abcd"));
  CHECK_FALSE(matches("user.*", "users"));
  CHECK(matches("a?", "a?"));
  CHECK_FALSE(matches("a?", "ab"));
  CHECK(matches("[ab]", "[ab]"));
  CHECK_FALSE(matches("[ab]", "a"));
  CHECK(matches("[^a]\\*", "[^a]\\x"));
  CHECK(matches("back\\slash", "back\\slash"));
  CHECK_FALSE(matches("\\*", "*"));
}

TEST_CASE("ids that are not ours are refused", "[events]") {
  const Position position{0x0123456789abcdef, 42};
  CHECK(worker::to_text(position) == "0123456789abcdef-42");
  CHECK(parse_position("0123456789abcdef-42") == position);
  CHECK(parse_position("0123456789abcdef-0").has_value());
  for (const char* text :
       {"", "42", "-", "0123456789abcdef", "0123456789abcdef-", "0123456789abcdef-+1", "0123456789abcdef--1",
        "0123456789abcdef-1x", "0123456789abcdef-1234567890123456", "0123456789abcdeg-1", "0x23456789abcdef-1",
        "0000000000000000-1", "0123456789abcdef1-1", "1700000000000-0"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_position(text).has_value());
  }
}

TEST_CASE("messages that publish() has not made are refused", "[events]") {
  CHECK(parse_message(worker::plain_message("x"))->payload() == "x");
  CHECK(parse_message("p")->payload().empty());
  const auto kept = parse_message("k0123456789abcdef-7\na\nb");
  REQUIRE(kept != nullptr);
  CHECK(kept->payload() == "a\nb");
  CHECK(kept->position() == Position{0x0123456789abcdef, 7});
  CHECK(kept->sse_text() == "id: 0123456789abcdef-7\ndata: a\ndata: b\n\n");
  for (const char* text : {"", "x", "k", "k\n", "k0123456789abcdef-7", "k0123456789abcdef-0\nx", "kzz-1\nx",
                           "k0123456789abcdef-99999999999999999999\nx"}) {
    CAPTURE(text);
    CHECK(parse_message(text) == nullptr);
  }
}
