#include "worker/state/redis/subscriptions/subscriber.h"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::Subscriber;
using worker::Subscription;

namespace {

// Writes down what it is told.
struct Notes final : Subscriber::Listener {
  void message(std::string_view channel, const Reply& payload) override {
    messages.emplace_back(channel, payload.is_string() ? payload.string() : "");
    payloads.push_back(payload);
  }
  void subscribed(std::string_view name) override { events.push_back("+" + std::string(name)); }
  void interrupted(std::string_view name) override { events.push_back("-" + std::string(name)); }

  std::vector<std::pair<std::string, std::string>> messages;
  std::vector<Reply> payloads;
  std::vector<std::string> events;
};

struct Fixture {
  explicit Fixture(RedisOptions options = {}, std::chrono::milliseconds ping = 5s,
                   std::chrono::milliseconds timeout = 10s)
      : redis(std::move(options)),
        worker(config_for(redis.url(), timeout)),
        subscriber(worker.loop(), [this] { return target(); }, {timeout, "app:0:events"}, ping) {}
  ~Fixture() { subscriber.close(); }

  // Publishes, and returns how many clients have received it.
  int publish(const std::string& channel, const std::string& payload) const {
    return std::stoi(redis.command({"PUBLISH", channel, payload}));
  }
  void wait_for(const Subscription& subscription) {
    REQUIRE(worker.wait([&] { return subscription.active(); }));
  }

  std::expected<worker::RedisTarget, std::string> target() {
    ++connects;
    return worker::RedisTarget{parse_redis_url(address.empty() ? redis.url() : address), kind, {}};
  }

  RedisProcess redis;
  StateWorker worker;
  std::string address;
  worker::RedisTarget::Kind kind = worker::RedisTarget::Kind::server;
  int connects = 0;
  Subscriber subscriber;
};

bool has(const Notes& notes, const std::string& channel, const std::string& payload) {
  return std::ranges::find(notes.messages, std::pair(channel, payload)) != notes.messages.end();
}

}  // namespace

TEST_CASE("a listener gets what is published to its channel and to its pattern, with any bytes", "[redis][events]") {
  Fixture f;
  Notes exact;
  Notes matching;
  const std::string channel("a\0\r\n*\xff", 6);
  const std::string payload("\0\r\n$5\r\n\xfe", 8);
  const Subscription one = f.subscriber.subscribe(channel, exact);
  const Subscription two = f.subscriber.subscribe_pattern("a*", matching);
  f.wait_for(one);
  f.wait_for(two);
  CHECK(f.publish(channel, payload) == 2);
  CHECK(f.publish("other", "x") == 0);
  CHECK(f.worker.wait([&] { return has(exact, channel, payload) && has(matching, channel, payload); }));
  CHECK(exact.events == std::vector<std::string>{"+" + channel});
  CHECK(matching.events == std::vector<std::string>{"+a*"});
}

TEST_CASE("a worker subscribes once to a channel, whoever listens, and no longer than somebody does",
          "[redis][events]") {
  Fixture f;
  Notes a;
  Notes b;
  Subscription one = f.subscriber.subscribe("c", a);
  Subscription two = f.subscriber.subscribe("c", b);
  f.wait_for(two);
  CHECK(one.active());
  CHECK(f.publish("c", "1") == 1);
  CHECK(f.worker.wait([&] { return has(a, "c", "1") && has(b, "c", "1"); }));
  Notes late;
  Subscription three = f.subscriber.subscribe("c", late);
  CHECK(three.active());
  one.reset();
  three.reset();
  CHECK(f.publish("c", "2") == 1);
  CHECK(f.worker.wait([&] { return has(b, "c", "2"); }));
  CHECK_FALSE(has(a, "c", "2"));
  CHECK(late.messages.empty());
  two = Subscription();
  CHECK(f.worker.wait([&] { return f.publish("c", "3") == 0; }));
}

TEST_CASE("a channel that is left and joined in one turn of the loop is subscribed to", "[redis][events]") {
  Fixture f;
  Notes first;
  Notes second;
  Subscription one = f.subscriber.subscribe("c", first);
  const Subscription keep = f.subscriber.subscribe("other", first);
  f.wait_for(keep);
  one.reset();
  Subscription two = f.subscriber.subscribe("c", second);
  CHECK_FALSE(two.active());
  two.reset();
  two = f.subscriber.subscribe("c", second);
  f.wait_for(two);
  CHECK(f.publish("c", "x") == 1);
  CHECK(f.worker.wait([&] { return has(second, "c", "x"); }));
  CHECK(first.messages.empty());
}

TEST_CASE("listeners may join and leave channels while they are called", "[redis][events]") {
  struct Leaves final : Subscriber::Listener {
    void message(std::string_view, const Reply&) override {
      ++calls;
      subscriptions.clear();
      if (calls == 1) subscriptions.push_back(subscriber->subscribe("d", *this));
    }
    Subscriber* subscriber = nullptr;
    std::vector<Subscription> subscriptions;
    int calls = 0;
  };
  Fixture f;
  Leaves leaves;
  Notes other;
  leaves.subscriber = &f.subscriber;
  leaves.subscriptions.push_back(f.subscriber.subscribe("c", leaves));
  leaves.subscriptions.push_back(f.subscriber.subscribe("c", leaves));
  const Subscription stays = f.subscriber.subscribe("c", other);
  f.wait_for(stays);
  f.publish("c", "1");
  CHECK(f.worker.wait([&] { return has(other, "c", "1") && !leaves.subscriptions.empty(); }));
  CHECK(leaves.calls == 1);
  f.wait_for(leaves.subscriptions.front());
  f.publish("d", "1");
  CHECK(f.worker.wait([&] { return leaves.calls == 2; }));
  f.publish("c", "2");
  CHECK(f.worker.wait([&] { return has(other, "c", "2"); }));
}

TEST_CASE("subscriptions come back after Redis was restarted, and listeners are told of the interruption",
          "[redis][events]") {
  Fixture f;
  Notes notes;
  const Subscription one = f.subscriber.subscribe("c", notes);
  const Subscription two = f.subscriber.subscribe_pattern("p*", notes);
  f.wait_for(one);
  f.wait_for(two);
  notes.events.clear();
  f.redis.restart();
  CHECK(f.worker.wait([&] { return notes.events.size() == 2; }));
  CHECK(notes.events == std::vector<std::string>{"-c", "-p*"});
  f.wait_for(one);
  f.wait_for(two);
  CHECK(notes.events == std::vector<std::string>{"-c", "-p*", "+c", "+p*"});
  CHECK(f.publish("c", "x") == 1);
  CHECK(f.worker.wait([&] { return has(notes, "c", "x"); }));
}

TEST_CASE("a subscription that is made while Redis is away waits for it", "[redis][events]") {
  Fixture f;
  f.redis.stop();
  Notes notes;
  const Subscription one = f.subscriber.subscribe("c", notes);
  CHECK(f.worker.wait([&] { return f.connects >= 2; }));
  CHECK_FALSE(one.active());
  CHECK(notes.events.empty());
  f.redis.restart();
  f.wait_for(one);
  CHECK(f.publish("c", "x") == 1);
}

TEST_CASE("a listener that leaves because of an interruption is not subscribed again", "[redis][events]") {
  struct Leaves final : Subscriber::Listener {
    void message(std::string_view, const Reply&) override {}
    void interrupted(std::string_view) override {
      for (Subscription& subscription : subscriptions) subscription.reset();
    }
    std::vector<Subscription> subscriptions;
  };
  Fixture f;
  Leaves leaves;
  Notes notes;
  for (const char* name : {"a", "b", "c"}) leaves.subscriptions.push_back(f.subscriber.subscribe(name, leaves));
  const Subscription stays = f.subscriber.subscribe("c", notes);
  f.wait_for(stays);
  f.redis.restart();
  CHECK(f.worker.wait([&] { return notes.events.size() == 3; }));
  f.wait_for(stays);
  CHECK(f.publish("c", "x") == 1);
  CHECK(f.publish("a", "x") == 0);
}

TEST_CASE("a Redis that stops answering is detected by PING", "[redis][events]") {
  Fixture f({}, 50ms, 200ms);
  Notes notes;
  const Subscription one = f.subscriber.subscribe("c", notes);
  f.wait_for(one);
  CHECK(f.worker.wait(
      [&] { return f.redis.command({"CLIENT", "LIST", "TYPE", "PUBSUB"}).find("cmd=ping") != std::string::npos; }));
  CHECK(notes.events.size() == 1);
  ::kill(f.redis.pid(), SIGSTOP);
  CHECK(f.worker.wait([&] { return notes.events.size() == 2; }));
  CHECK_FALSE(one.active());
  ::kill(f.redis.pid(), SIGCONT);
  f.wait_for(one);
}

TEST_CASE("an idle connection stays, with and without subscriptions", "[redis][events]") {
  Fixture f({}, 5ms, 5s);
  Notes notes;
  Subscription one = f.subscriber.subscribe("c", notes);
  f.wait_for(one);
  const auto id = f.subscriber.client_id();
  f.worker.turn(50ms);
  one.reset();
  f.worker.turn(50ms);
  one = f.subscriber.subscribe("c", notes);
  f.wait_for(one);
  CHECK(f.subscriber.client_id() == id);
  CHECK(f.connects == 1);
}

TEST_CASE("a worker that is slower than the publishers is disconnected by Redis, and told so", "[redis][events]") {
  Fixture f({.password = {}, .tcp = false, .arguments = {"--client-output-buffer-limit", "pubsub 1mb 0 0"}});
  Notes notes;
  const Subscription one = f.subscriber.subscribe("c", notes);
  f.wait_for(one);
  const std::string large(512 * 1024, 'x');
  while (f.publish("c", large) == 1) {  // the loop stands still meanwhile
  }
  CHECK(f.worker.wait([&] { return notes.events.size() >= 3; }));
  CHECK(notes.events == std::vector<std::string>{"+c", "-c", "+c"});
  CHECK(f.publish("c", "x") == 1);
  CHECK(f.worker.wait([&] { return has(notes, "c", "x"); }));
}

TEST_CASE("a message of any size that Redis can deliver arrives in one piece", "[redis][events]") {
  Fixture f;
  Notes notes;
  const Subscription one = f.subscriber.subscribe("c", notes);
  f.wait_for(one);
  const std::string large(5 * 1024 * 1024, 'x');
  CHECK(f.publish("c", large) == 1);
  CHECK(f.worker.wait([&] { return has(notes, "c", large); }));
}

TEST_CASE("invalidations of CLIENT TRACKING arrive at the connection of the subscriber", "[redis][events]") {
  Fixture f;
  Notes notes;
  const Subscription one = f.subscriber.subscribe("__redis__:invalidate", notes);
  f.wait_for(one);
  REQUIRE(f.subscriber.client_id() > 0);
  const std::string self = f.redis.command({"CLIENT", "LIST", "ID", std::to_string(f.subscriber.client_id())});
  CHECK(self.find("name=app:0:events") != std::string::npos);
  CHECK(self.find("sub=1") != std::string::npos);
  f.worker.ready();
  const std::string id = std::to_string(f.subscriber.client_id());
  f.worker.state->redis->post(std::array<std::string_view, 5>{"CLIENT", "TRACKING", "ON", "REDIRECT", id});
  f.worker.command("GET", "key");
  f.redis.command({"SET", "key", "1"});
  CHECK(f.worker.wait([&] { return notes.payloads.size() == 1; }));
  REQUIRE(notes.payloads[0].is_array());
  CHECK(notes.payloads[0].array().at(0).string() == "key");
  f.redis.command({"FLUSHALL"});
  CHECK(f.worker.wait([&] { return notes.payloads.size() == 2; }));
  CHECK(notes.payloads[1].is_nil());
}

TEST_CASE("a subscriber logs in with user and password", "[redis][events]") {
  Fixture f({.password = "secret", .tcp = true, .arguments = {}});
  f.redis.command(
      {"ACL", "SETUSER", "bob", "on", ">word", "+subscribe", "+ping", "+@connection", "-client", "&allowed"});
  Notes notes;
  SECTION("the default user") {
    f.address = f.redis.tcp_url();
    const Subscription one = f.subscriber.subscribe("c", notes);
    f.wait_for(one);
  }
  SECTION("a user who may not ask for the id, nor subscribe to every channel") {
    f.address = "redis://bob:word@127.0.0.1:" + std::to_string(f.redis.port());
    const Subscription refused = f.subscriber.subscribe("a-forbidden", notes);
    const Subscription one = f.subscriber.subscribe("allowed", notes);
    f.wait_for(one);
    CHECK(f.subscriber.client_id() == 0);
    CHECK_FALSE(refused.active());
  }
  SECTION("a wrong password is tried again") {
    f.address = "redis://:wrong@127.0.0.1:" + std::to_string(f.redis.port());
    const Subscription one = f.subscriber.subscribe("c", notes);
    CHECK(f.worker.wait([&] { return f.connects >= 3; }));
    CHECK_FALSE(one.active());
    f.address = f.redis.tcp_url();
    f.wait_for(one);
  }
}

TEST_CASE("a refused subscription is tried again", "[redis][events]") {
  Fixture f({.password = "secret", .tcp = true, .arguments = {}}, 20ms);
  f.redis.command({"ACL", "SETUSER", "bob", "on", ">word", "+@all", "&none"});
  f.address = "redis://bob:word@127.0.0.1:" + std::to_string(f.redis.port());
  Notes notes;
  const Subscription one = f.subscriber.subscribe("c", notes);
  CHECK(f.worker.wait([&] { return f.redis.command({"ACL", "LOG"}).find("c") != std::string::npos; }));
  CHECK_FALSE(one.active());
  f.redis.command({"ACL", "SETUSER", "bob", "&c"});
  f.wait_for(one);
  CHECK(f.connects == 1);
}

TEST_CASE("the subscriber asks where Redis is before each attempt to connect", "[redis][events]") {
  Fixture f({.password = {}, .tcp = true, .arguments = {}}, 20ms);
  RedisProcess other({.password = {}, .tcp = true, .arguments = {}});
  f.address = f.redis.tcp_url();
  Notes notes;
  const Subscription one = f.subscriber.subscribe("c", notes);
  f.wait_for(one);
  SECTION("after the connection was lost") {
    f.address = other.tcp_url();
    f.redis.stop();
  }
  SECTION("when it is told to reconnect") {
    f.address = other.tcp_url();
    f.subscriber.reconnect();
  }
  SECTION("and moves to the primary that sentinels name") {
    f.kind = worker::RedisTarget::Kind::primary;
    f.subscriber.reconnect();
    f.wait_for(one);
    notes.events.erase(notes.events.begin(), notes.events.begin() + 2);
    f.address = other.tcp_url();
  }
  CHECK(f.worker.wait([&] { return notes.events.size() == 3; }));
  CHECK(other.command({"PUBLISH", "c", "x"}) == "1");
  CHECK(f.worker.wait([&] { return has(notes, "c", "x"); }));
}
