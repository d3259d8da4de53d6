// What a WebSocket's client may send and owe, and what a handler may send it, without a socket.
#include "worker/websocket/connection.h"

#include <algorithm>
#include <string>
#include <vector>

#include "framing/websocket_cases.h"
#include "support/catch.h"
#include "unit/worker/websocket/test_socket_connection.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using test::raw_fragments;
using test::raw_frame;
using namespace std::chrono_literals;

namespace {

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("a handler that awaits send() waits until the client has taken enough", "[websocket][backpressure]") {
  int sent = 0;
  const std::string part(16 * 1024, 'a');
  const auto sends = [&](WebSocket& socket) -> Task<void> {
    for (sent = 0; sent < 100; ++sent) co_await socket.send(part);
  };
  TestSocketConnection test({.handlers = {.message = sends}});
  test.start();
  test.stream().set_room(0);
  test.say("go");
  CHECK(sent == 3);  // the fourth fills 64 KiB
  CHECK(test.connection().queued() >= SocketConnection::kRoom);
  test.pass(1s);
  CHECK(sent == 3);
  test.stream().drain();
  CHECK(sent > 3);
  for (int i = 0; i < 100; ++i) test.drain();
  CHECK(sent == 100);
  CHECK(test.heard().size() == 100);
}

// The kernel of a fast client takes everything, so the handler was resumed again and again within one turn.
TEST_CASE("a handler that sends without end to a fast client lets others have turns", "[websocket][backpressure]") {
  int sent = 0;
  const std::string part(16 * 1024, 'a');
  const auto sends = [&](WebSocket& socket) -> Task<void> {
    for (sent = 0; sent < 10'000; ++sent) co_await socket.send(part);
  };
  TestSocketConnection test({.handlers = {.message = sends}});
  test.start();
  test.stream().send(test.text("go"));
  test.context().end_of_turn.run();
  CHECK(sent < 20);
  CHECK(test.context().end_of_turn.work_waits());
  for (int turn = 0; turn < 10'000 && sent < 10'000; ++turn) test.end_turn();
  CHECK(sent == 10'000);
}

TEST_CASE("nothing is read from a client that does not take its answers", "[websocket][backpressure]") {
  TestSocketConnection test(echo_handlers());
  test.start();
  test.stream().set_room(0);
  const std::string message = test.text(std::string(60'000, 'a'));
  test.send(message + message);
  CHECK_FALSE(test.stream().reading());
  test.send(message);  // was read before
  CHECK(test.row().messages_in == 2);
  test.drain();
  CHECK(test.stream().reading());
  CHECK(test.heard().size() == 3);
}

TEST_CASE("messages that wait for a handler gather up to a limit, then nothing is read", "[websocket][backpressure]") {
  Gate gate;
  Texts seen;
  const bool large = GENERATE(false, true);
  TestSocketConnection test(gated_handlers(gate, seen));
  test.start();
  const std::string message = test.text(std::string(large ? 30'000 : 1, 'a'));
  int sent = 0;
  for (; test.stream().reading() && sent < 1000; ++sent) test.send(message);
  CHECK(sent == (large ? 4 : 129));  // one is being handled
  while (gate.waiting() > 0) {
    gate.open();
    test.end_turn();
  }
  CHECK(test.stream().reading());
  CHECK(seen.size() == 2 * static_cast<std::size_t>(sent));
}

TEST_CASE("a client that pings too often is closed", "[websocket][limits]") {
  TestSocketConnection test(echo_handlers());
  test.start();
  for (int i = 0; i < 100; ++i) test.send(test.ping("a"));
  CHECK(test.heard().size() == 100);
  test.pass(3s);
  for (int i = 0; i < 60; ++i) test.send(test.ping("a"));
  CHECK(test.heard().size() == 60);
  for (int i = 0; i < 1000; ++i) test.send(test.ping("a"));
  CHECK(test.heard() == Texts{"close 1008 too many control frames"});
}

TEST_CASE("a client that sends more messages than max_rate is closed", "[websocket][limits]") {
  detail::SocketEntry entry = echo_handlers();
  entry.max_rate = 2;
  TestSocketConnection test(std::move(entry));
  test.start();
  for (int i = 0; i < 20; ++i) test.say("a");
  CHECK(test.heard().size() == 20);
  test.say("a");
  CHECK(test.heard() == Texts{"close 1008 too many messages"});
  CHECK(test.count(Count::sockets_closed) == 1);
}

TEST_CASE("a client that sends fragments without payload too often is closed", "[websocket][limits]") {
  TestSocketConnection test(echo_handlers());
  test.start();
  const std::string first = raw_frame(1, "a", {.final = false});
  const std::string empty = raw_frame(0, "", {.final = false});
  test.send(first);
  for (int i = 0; i < 100; ++i) test.send(empty);
  test.send(raw_frame(0, "b"));
  CHECK(test.heard() == Texts{"text ab"});
  std::string flood = first;
  for (int i = 0; i < 101; ++i) flood += empty;
  TestSocketConnection flooded(echo_handlers());
  flooded.start();
  flooded.send(flood + raw_frame(0, "b") + test.text("later"));
  CHECK(flooded.heard() == Texts{"close 1008 too many small fragments"});
  CHECK(flooded.row().messages_in == 0);
}

TEST_CASE("small fragments count for max_rate, large ones and those of other routes do not", "[websocket][limits]") {
  const std::string large = raw_fragments(1, std::string(60'000, 'a'), worker::kSmallFragment);
  const std::string small = raw_fragments(1, "fragments of one byte", 1);
  detail::SocketEntry entry = echo_handlers();
  entry.max_rate = 2;
  TestSocketConnection limited(std::move(entry));
  limited.start();
  limited.send(large);
  CHECK(limited.heard().size() == 1);
  limited.send(small);
  CHECK(limited.heard() == Texts{"close 1008 too many small fragments"});
  TestSocketConnection unlimited(echo_handlers());
  unlimited.start();
  for (int i = 0; i < 100; ++i) unlimited.send(small);
  CHECK(unlimited.heard().size() == 100);
}

TEST_CASE("a message above max_message is refused as soon as its head tells", "[websocket][limits]") {
  detail::SocketEntry entry = echo_handlers();
  entry.max_message = 1000;
  TestSocketConnection test(std::move(entry));
  test.start();
  test.say(std::string(1000, 'a'));
  CHECK(test.heard().size() == 1);
  test.send(test.text(std::string(1001, 'a')).substr(0, 10));
  const Texts heard = test.heard();
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].starts_with("close 1009"));
}

TEST_CASE("what breaks the protocol is answered with its code, and the rest is not read", "[websocket][hostile]") {
  const auto [bytes, code] = GENERATE(table<std::string, std::string>({
      {std::string("\x81\x00", 2), "close 1002"},                  // not masked
      {std::string("\xf1\x80\x01\x02\x03\x04", 6), "close 1002"},  // reserved bits
      {std::string("\x83\x80\x01\x02\x03\x04", 6), "close 1002"},  // a reserved opcode
      {std::string("\x81\x81\x00\x00\x00\x00\xff", 7), "close 1007"},
  }));
  int closes = 0;
  TestSocketConnection test({.handlers = {.message = echo, .close = [&closes](WebSocket&) { ++closes; }}});
  test.start();
  test.send(bytes + test.text("later"));
  const Texts heard = test.heard();
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].starts_with(code));
  CHECK(test.stream().fin_sent());
  test.say("still there");
  CHECK(test.row().messages_in == 0);
  CHECK(closes == 0);
  test.leave();
  CHECK(closes == 1);
  CHECK_FALSE(test.open());
}

TEST_CASE("a socket whose client is too slow is closed when max_queue bytes wait", "[websocket][limits]") {
  CloseReason reason;
  std::string text;
  int closes = 0;
  detail::SocketEntry entry{.handlers = {.close = [&](WebSocket&, const CloseReason& why) {
                              ++closes;
                              reason.code = why.code;
                              text = why.text;
                            }}};
  entry.max_queue = 100'000;
  TestSocketConnection test(std::move(entry));
  test.start();
  test.stream().set_room(0);
  for (int i = 0; i < 10; ++i) {
    test.connection().send(std::string(30'000, 'a'), true);
    test.end_turn();
  }
  CHECK(closes == 1);
  CHECK(reason.code == 1008);
  CHECK(text == "the client is too slow");
  CHECK(test.count(Count::sockets_too_slow) == 1);
  CHECK_FALSE(test.open());
  CHECK(test.row().queued == 0);
}

TEST_CASE("when the queues of all sockets are long, a client for whom 64 KiB wait is too slow", "[websocket][limits]") {
  TestSocketConnection test(echo_handlers());
  test.start();
  test.stream().set_room(0);
  const auto send = [&test] {
    test.connection().send(std::string(40'000, 'a'), true);
    test.end_turn();
  };
  for (int i = 0; i < 3; ++i) send();
  CHECK(test.open());
  test.service().count_queued(0, SocketService::kMostQueued);  // of others
  CHECK(test.service().is_full());
  send();
  CHECK_FALSE(test.open());
  CHECK(test.count(Count::sockets_too_slow) == 1);
  test.service().count_queued(SocketService::kMostQueued, SocketService::kMostQueued / 2);
  CHECK(test.service().is_full());
  test.service().count_queued(SocketService::kMostQueued / 2, 0);
  CHECK_FALSE(test.service().is_full());
}
