#include "worker/state/events/messages/history.h"

#include <string>
#include <vector>

#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::HistoryKeys;
using worker::HistoryPage;
using worker::KeptEvent;
using worker::Position;

namespace {

struct Fixture {
  Fixture() : worker(redis.url()) { worker.ready(); }

  KeptEvent publish(const std::string& payload, std::uint32_t length = 1000, std::uint64_t number = 0) {
    return worker.run(worker::publish_kept(*worker.state->redis, keys, "channel", payload, length, 1h, number));
  }
  HistoryPage read(Position after) { return worker.run(worker::read_history(*worker.state->redis, keys, after)); }

  RedisProcess redis;
  StateWorker worker;
  HistoryKeys keys{"{t}", "{t}:s"};
};

std::vector<std::string> payloads(const HistoryPage& page) {
  std::vector<std::string> texts;
  for (const auto& event : page.events) texts.push_back(event->payload());
  return texts;
}

}  // namespace

TEST_CASE("the events of a history are numbered, and are read from after any of them", "[redis][events]") {
  Fixture f;
  const KeptEvent first = f.publish("a");
  CHECK(first.position.offset == 1);
  CHECK(first.receivers == 0);
  CHECK(f.publish(std::string("\0\r\n", 3)).position == Position{first.position.epoch, 2});
  CHECK(f.publish("").position == Position{first.position.epoch, 3});

  CHECK(payloads(f.read(first.position)) == std::vector<std::string>{std::string("\0\r\n", 3), ""});
  CHECK(f.read(first.position).last == Position{first.position.epoch, 3});
  CHECK(f.read({first.position.epoch, 0}).events.size() == 3);
  CHECK(f.read({first.position.epoch, 3}).events.empty());
  CHECK(f.read({first.position.epoch, 900}).events.empty());
  CHECK(f.read({}).events.size() == 3);  // as of a history that the reader does not know
  CHECK(f.read({first.position.epoch + 1, 2}).events.size() == 3);
  const auto last = f.worker.run(worker::read_last_position(*f.worker.state->redis, f.keys));
  CHECK(last.last == Position{first.position.epoch, 3});
  CHECK(last.events.empty());
}

TEST_CASE("what a publisher has published is not published again", "[redis][events]") {
  Fixture f;
  f.publish("before");
  f.keys.publisher = "{t}:p:ada";
  const KeptEvent first = f.publish("a", 1000, 4097);
  CHECK(f.publish("a", 1000, 4097).position == first.position);
  CHECK(f.publish("b", 1000, 9'007'199'254'740'991).position.offset == 3);  // the highest number
  CHECK(f.publish("a", 1000, 4097).position.offset == 3);                   // of a worker that was slow to die
  f.keys.publisher = "{t}:p:bob";
  CHECK(f.publish("c", 1000, 1).position.offset == 4);
  f.keys.publisher.clear();
  CHECK(f.publish("d").position.offset == 5);
  CHECK(payloads(f.read({first.position.epoch, 0})) == std::vector<std::string>{"before", "a", "b", "c", "d"});
  CHECK(f.redis.command({"PTTL", "{t}:p:ada"}) != "-1");
}

TEST_CASE("what a publisher is said to have published is believed only if it can be right", "[redis][events]") {
  Fixture f;
  f.publish("before");
  f.keys.publisher = "{t}:p:ada";
  SECTION("no number") { f.redis.command({"HSET", "{t}:p:ada", "number", "x"}); }
  SECTION("nothing else") { f.redis.command({"HSET", "{t}:p:ada", "number", "9"}); }
  SECTION("an epoch that is none") {
    f.redis.command({"HSET", "{t}:p:ada", "number", "9", "receivers", "1", "epoch", "x", "offset", "1"});
  }
  SECTION("receivers that are none") {
    f.redis.command({"HSET", "{t}:p:ada", "number", "9", "receivers", "x", "epoch", "0123456789abcdef", "offset", "1"});
  }
  CHECK(f.publish("a", 1000, 5).position.offset == 2);
}

TEST_CASE("a history that was lost begins with a new epoch", "[redis][events]") {
  Fixture f;
  const Position before = f.publish("a").position;
  CHECK_FALSE(Fixture().read({}).last);
  SECTION("with everything") { f.redis.command({"FLUSHALL"}); }
  SECTION("with its numbers alone") { f.redis.command({"DEL", "{t}"}); }
  CHECK_FALSE(f.read(before).last);
  const Position after = f.publish("b").position;
  CHECK(after.epoch != before.epoch);
  CHECK(after.offset == 1);
  CHECK(payloads(f.read(before)) == std::vector<std::string>{"b"});
}

TEST_CASE("a history to which somebody else has written begins anew, and has only its own events", "[redis][events]") {
  // Redis refused every later event, because its id was lower than that of the foreign entry.
  Fixture f;
  const Position before = f.publish("a").position;
  SECTION("an entry") { f.redis.command({"XADD", "{t}:s", "*", "x", "y"}); }
  SECTION("one that is gone again") {
    f.redis.command({"XADD", "{t}:s", "5-3", "x", "y"});
    f.redis.command({"XDEL", "{t}:s", "5-3"});
  }
  SECTION("its offset") { f.redis.command({"HSET", "{t}", "offset", "hello"}); }
  SECTION("an offset that is none") { f.redis.command({"HSET", "{t}", "offset", std::string(20, '9')}); }
  SECTION("its epoch") { f.redis.command({"HSET", "{t}", "epoch", "hello"}); }
  SECTION("an epoch that stands for none") { f.redis.command({"HSET", "{t}", "epoch", "0000000000000000"}); }
  SECTION("an epoch of capital letters") { f.redis.command({"HSET", "{t}", "epoch", "ABCDEF0123456789"}); }
  const Position after = f.publish("b").position;
  CHECK(after.epoch != before.epoch);
  CHECK(after.offset == 1);
  CHECK(f.publish("c").position == Position{after.epoch, 2});
  CHECK(f.redis.command({"XADD", "{t}:s", "*", "x", "y"}) != "");
  CHECK(payloads(f.read(before)) == std::vector<std::string>{"b", "c"});
}

TEST_CASE("an event that could not be kept takes no offset", "[redis][events]") {
  Fixture f;
  const Position before = f.publish("a").position;
  f.redis.command({"SET", "{t}:s", "x"});
  CHECK_THROWS_AS(f.publish("b"), RedisError);
  CHECK_THROWS_AS(f.publish("b"), RedisError);
  f.redis.command({"DEL", "{t}:s"});
  CHECK(f.publish("c").position == Position{before.epoch, 2});
}

TEST_CASE("offsets go on after the events of a history were lost", "[redis][events]") {
  Fixture f;
  const Position before = f.publish("a").position;
  f.redis.command({"DEL", "{t}:s"});
  CHECK(f.publish("b").position == Position{before.epoch, 2});
}

TEST_CASE("a history keeps as many events as asked, and expires", "[redis][events]") {
  Fixture f;
  for (int i = 0; i < 500; ++i) f.publish("x", 10);
  const auto kept = std::stoi(f.redis.command({"XLEN", "{t}:s"}));
  CHECK(kept >= 10);
  CHECK(kept < 250);
  CHECK(std::stoi(f.redis.command({"TTL", "{t}:s"})) > 3500);
  CHECK(std::stoi(f.redis.command({"TTL", "{t}"})) > 24 * 3600);
}

TEST_CASE("a long history is read in pages of bounded size", "[redis][events]") {
  Fixture f;
  const std::string large(100'000, 'x');
  Position last;
  for (int i = 0; i < 10; ++i) last = f.publish(large).position;
  CHECK(f.read({last.epoch, 0}).events.size() == 3);
  f.redis.command({"FLUSHALL"});
  for (int i = 0; i < 100; ++i) last = f.publish("x").position;
  CHECK(f.read({last.epoch, 0}).events.size() == 64);
  CHECK(f.read({last.epoch, 64}).events.size() == 36);
}

TEST_CASE("keys of a history that hold something else are an error", "[redis][events]") {
  Fixture f;
  SECTION("facts of another type") { f.redis.command({"SET", "{t}", "x"}); }
  SECTION("an epoch that stands for none") { f.redis.command({"HSET", "{t}", "epoch", "0000000000000000"}); }
  SECTION("an epoch of capital letters") { f.redis.command({"HSET", "{t}", "epoch", "ABCDEF0123456789"}); }
  SECTION("an epoch that is none") { f.redis.command({"HSET", "{t}", "epoch", "hello", "offset", "1"}); }
  SECTION("an offset that is none") {
    f.redis.command({"HSET", "{t}", "epoch", "0123456789abcdef", "offset", "hello"});
  }
  SECTION("a stream of another type") {
    f.redis.command({"HSET", "{t}", "epoch", "0123456789abcdef", "offset", "1"});
    f.redis.command({"SET", "{t}:s", "x"});
  }
  SECTION("a stream with other ids") {
    f.redis.command({"HSET", "{t}", "epoch", "0123456789abcdef", "offset", "7"});
    f.redis.command({"XADD", "{t}:s", "5-3", "p", "x"});
  }
  CHECK_THROWS_AS(f.read({1, 0}), RedisError);
}
