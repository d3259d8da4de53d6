// How sockets end, and that the close handler runs exactly once.
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.h"
#include "unit/worker/websocket/test_socket_connection.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using namespace std::chrono_literals;

namespace {

using Texts = std::vector<std::string>;
using Test = TestSocketConnection;

struct Closes {
  int count = 0;
  std::uint16_t code = 0;
  std::string text;
};

// Counts how often the close handler runs; a message "wait" waits at the gate, "close" closes, others are echoed.
detail::SocketEntry counts(Closes& closes, Gate& gate) {
  const auto message = [&gate](WebSocket& socket, Message text) -> Task<void> {
    if (text.text() == "wait") co_await gate;
    if (text.text() == "close") socket.close(4000, "enough");
    if (text.text() == "throw") throw std::runtime_error("a bug");
    socket.send(text.text());
  };
  const auto close = [&closes](WebSocket& socket, const CloseReason& reason) {
    ++closes.count;
    closes.code = reason.code;
    closes.text = reason.text;
    socket.send("is dropped");
    socket.close();
  };
  return {.handlers = {.message = message, .close = close}};
}

struct Way {
  const char* name;
  std::function<void(Test&)> end;
  std::uint16_t code;
  std::string text;
};

const std::vector<Way>& ways() {
  static const std::vector<Way> all{
      {"the client closes", [](Test& test) { test.send(test.close_frame(1001, "left")); }, 1001, "left"},
      {"the client closes without a code", [](Test& test) { test.send(test.close_frame(1005)); }, 1005, ""},
      {"the client closes and then sends more", [](Test& test) { test.send(test.close_frame(1000) + test.text("a")); },
       1000, ""},
      {"the client is gone", [](Test& test) { test.leave(); }, 1006, ""},
      {"the client is gone in the middle of a message",
       [](Test& test) {
         test.send(test.text("abc").substr(0, 7));
         test.leave();
       },
       1006, ""},
      {"the connection breaks", [](Test& test) { test.break_off(); }, 1006, ""},
      {"the application closes, and the client answers",
       [](Test& test) {
         test.say("close");
         test.send(test.close_frame(4000));
       },
       4000, "enough"},
      {"the application closes, and the client leaves",
       [](Test& test) {
         test.say("close");
         test.leave();
       },
       4000, "enough"},
      {"the application closes, and the client does not answer",
       [](Test& test) {
         test.say("close");
         test.pass(Test::kLinger + 1s);
       },
       4000, "enough"},
      {"the application closes, and the client goes on sending",
       [](Test& test) {
         test.say("close");
         for (int i = 0; i < 20 && test.open(); ++i) {
           test.say("more");
           test.pass(250ms);
         }
       },
       4000, "enough"},
      {"both close at the same time", [](Test& test) { test.send(test.text("close") + test.close_frame(1001)); }, 4000,
       "enough"},
      {"a handler fails", [](Test& test) { test.say("throw"), test.send(test.close_frame(1011)), test.leave(); }, 1011,
       "the handler of a message failed"},
      {"the client breaks the protocol",
       [](Test& test) {
         test.send(std::string("\x83\x80\x01\x02\x03\x04", 6));
         test.leave();
       },
       1002, ""},
      {"the client breaks the protocol and stays",
       [](Test& test) {
         test.send(std::string("\x83\x80\x01\x02\x03\x04", 6));
         test.pass(Test::kLinger + 1s);
       },
       1002, ""},
      {"the client does not answer a ping", [](Test& test) { test.pass(2 * Test::kPing + 1s); }, 1006, ""},
      {"the client takes nothing",
       [](Test& test) {
         test.stream().set_room(0);
         test.stream().acknowledge(0);
         test.say("a");
         test.pass(3 * Test::kWrite);
       },
       1006, ""},
      {"the worker stops", [](Test& test) { test.connection().drain(true), test.end_turn(), test.leave(); }, 1001,
       "this server process is stopping"},
      {"a handler waits while the client leaves",
       [](Test& test) {
         test.say("wait");
         test.leave();
         test.pass(Test::kDeadline + 1s);
       },
       1006, ""},
      {"a handler passes its deadline",
       [](Test& test) {
         test.say("wait");
         test.pass(Test::kDeadline + 1s);
         test.leave();
       },
       1011, "the handler of a message failed"},
  };
  return all;
}

}  // namespace

TEST_CASE("whatever ends a socket, its close handler runs once and the connection is closed", "[websocket][close]") {
  for (const Way& way : ways()) {
    INFO(way.name);
    Closes closes;
    Gate gate;
    Test test(counts(closes, gate), Test::kDeadline);
    test.start();
    way.end(test);
    CHECK(closes.count == 1);
    CHECK(closes.code == way.code);
    if (!way.text.empty()) CHECK(closes.text == way.text);
    CHECK_FALSE(test.open());
    test.pass(10s);
    CHECK(closes.count == 1);
    CHECK(test.row().open == 0);
    CHECK(test.row().queued == 0);
    CHECK(test.count(Count::sockets) == 0);
    CHECK(test.service().connections().empty());
  }
}

TEST_CASE("a client's close is answered with its code", "[websocket][close]") {
  Test test({});
  test.start();
  test.send(test.close_frame(3000, "why"));
  CHECK(test.heard() == Texts{"close 3000"});
}

TEST_CASE("messages before the client's close or end are handled, also those that wait", "[websocket][close]") {
  Gate gate;
  Texts seen;
  const auto message = [&](WebSocket&, Message text) -> Task<void> {
    co_await gate;
    seen.emplace_back(text.text());
  };
  Test test({.handlers = {.message = message, .close = [&seen](WebSocket&) { seen.emplace_back("closed"); }}});
  test.start();
  const bool closes = GENERATE(true, false);
  test.send(test.text("1") + test.text("2") + (closes ? test.close_frame(1000) : ""));
  if (!closes) test.leave();
  CHECK(test.open());
  for (int i = 0; i < 3; ++i) {
    gate.open();
    test.end_turn();
  }
  CHECK(seen == Texts{"1", "2", "closed"});
  CHECK_FALSE(test.open());
}

TEST_CASE("messages behind the server's close are dropped", "[websocket][close]") {
  Closes closes;
  Gate gate;
  Test test(counts(closes, gate));
  test.start();
  test.send(test.text("close") + test.text("a"));
  test.say("b");
  CHECK(test.heard() == Texts{"close 4000 enough"});
  CHECK(test.open());
}

TEST_CASE("a socket that `open` closes begins with its close frame", "[websocket][close]") {
  Closes closes;
  Gate gate;
  Test test(counts(closes, gate));
  test.start([](WebSocket& socket) { socket.send("bye"), socket.close(4001, "full"), socket.send("is dropped"); },
             test.text("early"));
  CHECK(test.heard() == Texts{"text bye", "close 4001 full"});
  CHECK(closes.count == 0);
  test.send(test.close_frame(4001));
  CHECK(closes.count == 1);
  CHECK(closes.code == 4001);
  CHECK_FALSE(test.open());
}

TEST_CASE("only the first call of close() counts", "[websocket][close]") {
  Test test({.handlers = {.message = [](WebSocket& socket) { socket.close(4000), socket.close(4001); }}});
  test.start();
  test.say("a");
  CHECK(test.heard() == Texts{"close 4000"});
}

TEST_CASE("the connection stays open until the close handler has ended", "[websocket][close]") {
  Gate gate;
  int ended = 0;
  const auto close = [&](WebSocket&) -> Task<void> {
    co_await gate;
    ++ended;
  };
  Test test({.handlers = {.close = close}});
  test.start();
  test.leave();
  CHECK(gate.waiting() == 1);
  test.pass(20s);
  CHECK(test.open());
  CHECK(test.count(Count::sockets) == 1);
  gate.open();
  test.end_turn();
  CHECK(ended == 1);
  CHECK_FALSE(test.open());
}

TEST_CASE("a close handler that fails or passes its deadline ends the socket all the same", "[websocket][close]") {
  Gate gate;
  const bool fails = GENERATE(true, false);
  const auto close = [&gate, fails](WebSocket&) -> Task<void> {
    if (fails) throw std::runtime_error("a bug");
    co_await gate;
  };
  Test test({.handlers = {.close = close}}, Test::kDeadline);
  test.start();
  test.leave();
  test.pass(Test::kDeadline + 1s);
  CHECK_FALSE(test.open());
  CHECK(test.count(Count::handler_errors) == (fails ? 1 : 0));
  CHECK(test.count(Count::limit_deadline) == (fails ? 0 : 1));
}

// Its coroutine was destroyed at the end of the turn only, and ended a second time when it went on before that.
TEST_CASE("a handler that passes its deadline does not go on", "[websocket][close]") {
  Gate gate;
  int went_on = 0;
  const auto message = [&](WebSocket&) -> Task<void> {
    const std::shared_ptr<int> guard(&went_on, [](int* count) { *count += 10; });
    co_await gate;
    ++went_on;
  };
  Test test({.handlers = {.message = message}}, Test::kDeadline);
  test.start();
  test.say("a");
  test.connection().check_deadline(std::chrono::steady_clock::time_point::max());
  CHECK(went_on == 10);
  test.end_turn();
  CHECK(test.heard() == Texts{"close 1011 the handler of a message failed"});
}

TEST_CASE("a handler that waits for room goes on when the socket ends", "[websocket][close][backpressure]") {
  bool ended = false;
  const auto message = [&ended](WebSocket& socket) -> Task<void> {
    const std::string part(70'000, 'a');
    for (int i = 0; i < 10; ++i) co_await socket.send(part);
    CHECK(socket.closing());
    ended = true;
  };
  const bool breaks = GENERATE(true, false);
  int closes = 0;
  Test test({.handlers = {.message = message, .close = [&closes](WebSocket&) { ++closes; }}});
  test.start();
  test.stream().set_room(0);
  test.say("go");
  CHECK_FALSE(ended);
  breaks ? test.break_off() : test.leave();
  CHECK(ended);
  if (!breaks) test.drain();
  CHECK(closes == 1);
  CHECK_FALSE(test.open());
}

TEST_CASE("a handler that is destroyed while it waits for room is not resumed", "[websocket][close][backpressure]") {
  const auto message = [](WebSocket& socket) -> Task<void> {
    const std::string part(70'000, 'a');
    while (true) co_await socket.send(part);
  };
  Test test({.handlers = {.message = message}}, Test::kDeadline);
  test.start();
  test.stream().set_room(0);
  test.say("go");
  test.connection().check_deadline(std::chrono::steady_clock::time_point::max());
  test.end_turn();
  test.drain();
  CHECK(test.heard().back() == "close 1011 the handler of a message failed");
}

TEST_CASE("an owner that closes the connection runs no close handler", "[websocket][close]") {
  Closes closes;
  Gate gate;
  Test test(counts(closes, gate));
  test.start();
  test.say("wait");
  test.connection().close();
  gate.open();  // it goes on before the turn ends
  test.end_turn();
  CHECK(closes.count == 0);
  CHECK_FALSE(test.open());
  CHECK(test.row().open == 0);
}

TEST_CASE("a socket from which something arrives is not pinged, an idle one is", "[websocket][ping]") {
  Test test({});
  test.start();
  for (int i = 0; i < 10; ++i) {
    test.pass(Test::kPing - 1s);
    test.send(test.ping("a"));
    CHECK(test.heard() == Texts{"pong a"});
  }
  test.pass(Test::kPing);
  CHECK(test.heard() == Texts{"ping "});
  test.send(test.text("a"));  // any bytes show that it is there
  test.pass(Test::kPing - 1s);
  CHECK(test.heard().empty());
  test.pass(1s);
  CHECK(test.heard() == Texts{"ping "});
  CHECK(test.open());
}

TEST_CASE("a socket that does not answer a ping is counted", "[websocket][ping]") {
  Test test({});
  test.start();
  test.pass(2 * Test::kPing);
  CHECK_FALSE(test.open());
  CHECK(test.count(Count::limit_websocket_ping) == 1);
}
