// Messages of a WebSocket and what handlers do with them, without a socket.
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.h"
#include "unit/worker/websocket/test_socket_connection.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("messages of both kinds are handled, and what is sent leaves at the end of the turn", "[websocket]") {
  TestSocketConnection test(echo_handlers());
  test.start();
  test.stream().send(test.text("hi") + test.binary(std::string(1, '\0')));
  CHECK(test.heard().empty());
  test.end_turn();
  CHECK(test.heard() == Texts{"text hi", "binary " + std::string(1, '\0')});
  CHECK(test.open());
}

TEST_CASE("a message that arrives byte by byte is handled once it is whole", "[websocket]") {
  TestSocketConnection test(echo_handlers());
  test.start();
  for (const char byte : test.text("slow") + test.text("")) test.send(std::string(1, byte));
  CHECK(test.heard() == Texts{"text slow", "text "});
}

TEST_CASE("messages of one socket are handled one at a time and in order", "[websocket]") {
  Gate gate;
  Texts seen;
  TestSocketConnection test(gated_handlers(gate, seen));
  test.start();
  test.send(test.text("1") + test.text("2"));
  test.say("3");
  CHECK(seen == Texts{"begins 1"});
  gate.open();
  test.end_turn();
  CHECK(seen == Texts{"begins 1", "ends 1", "begins 2"});
  gate.open();
  test.end_turn();
  gate.open();
  test.end_turn();
  CHECK(seen == Texts{"begins 1", "ends 1", "begins 2", "ends 2", "begins 3", "ends 3"});
}

TEST_CASE("each message has a number that grows", "[websocket]") {
  std::vector<std::uint64_t> numbers;
  TestSocketConnection test(
      {.handlers = {.message = [&](WebSocket&, const Message& message) { numbers.push_back(message.number()); }}});
  test.start();
  test.send(test.text("a") + test.text("b"));
  test.say("c");
  REQUIRE(numbers.size() == 3);
  CHECK(numbers[0] < numbers[1]);
  CHECK(numbers[1] < numbers[2]);
}

TEST_CASE("pings are answered while a handler waits", "[websocket]") {
  Gate gate;
  Texts seen;
  TestSocketConnection test(gated_handlers(gate, seen));
  test.start();
  test.say("1");
  test.send(test.ping("there?"));
  CHECK(test.heard() == Texts{"pong there?"});
  gate.open();
}

TEST_CASE("what `open` sends reaches the client behind the handshake, and before other messages", "[websocket]") {
  TestSocketConnection test(echo_handlers());
  test.start([](WebSocket& socket) { socket.send("welcome"), socket.send_binary("!"); }, test.text("hi"));
  CHECK(test.heard() == Texts{"text welcome", "binary !", "text hi"});
}

// It waited for room that only the end of `open` makes.
TEST_CASE("`open` may await what it sends, however much that is", "[websocket]") {
  const std::string large(40'000, 'a');
  const auto open = [&large](WebSocket& socket) -> Task<void> {
    for (int i = 0; i < 4; ++i) co_await socket.send(large);
  };
  TestSocketConnection test(echo_handlers());
  test.start([&open](WebSocket& socket) {
    Task<void> task = open(socket);
    task.start();
    REQUIRE(task.done());
  });
  CHECK(test.heard().size() == 4);
}

TEST_CASE("what the client has sent right behind its request is handled", "[websocket]") {
  TestSocketConnection test(echo_handlers());
  test.start({}, test.text("early") + test.text("part").substr(0, 3));
  CHECK(test.heard() == Texts{"text early"});
  test.send(test.text("part").substr(0, 0));
  CHECK(test.open());
}

TEST_CASE("a handler that throws ends the socket with 1011, and the next message is not handled", "[websocket]") {
  int handled = 0;
  CloseReason reason;
  const auto fails = [&handled](WebSocket&) {
    ++handled;
    throw std::runtime_error("a bug");
  };
  TestSocketConnection test(
      {.handlers = {.message = fails, .close = [&](WebSocket&, const CloseReason& why) { reason.code = why.code; }}});
  test.start();
  test.send(test.text("1") + test.text("2"));
  CHECK(test.heard() == Texts{"close 1011 the handler of a message failed"});
  CHECK(handled == 1);
  CHECK(test.count(Count::handler_errors) == 1);
  test.leave();
  CHECK(reason.code == 1011);
  CHECK_FALSE(test.open());
}

TEST_CASE("a coroutine that throws after waiting ends the socket with 1011", "[websocket]") {
  Gate gate;
  const auto fails = [&gate](WebSocket&) -> Task<void> {
    co_await gate;
    throw std::runtime_error("a bug");
  };
  TestSocketConnection test({.handlers = {.message = fails}});
  test.start();
  test.say("1");
  gate.open();
  test.end_turn();
  CHECK(test.heard() == Texts{"close 1011 the handler of a message failed"});
}

TEST_CASE("a route without handlers takes messages and answers none", "[websocket]") {
  TestSocketConnection test({});
  test.start();
  test.say("hi");
  CHECK(test.heard().empty());
  test.send(test.close_frame(1000));
  CHECK(test.heard() == Texts{"close 1000"});
  CHECK_FALSE(test.open());
}

TEST_CASE("arguments that cannot be sent or kept are refused", "[websocket]") {
  TestSocketConnection test({});
  test.start([](WebSocket& socket) {
    CHECK(socket.id() == kTestSocketId);
    CHECK(socket.route() == "/s");
    CHECK(socket.client().address == "192.0.2.1");
    CHECK_THROWS_AS(socket.send("\xff"), std::invalid_argument);
    CHECK_THROWS_AS(socket.attach(std::string(kMaxSocketAttachment + 1, 'a')), std::invalid_argument);
    socket.attach(std::string(kMaxSocketAttachment, 'a'));
    CHECK(socket.attachment().size() == kMaxSocketAttachment);
    for (const std::uint16_t code : std::vector<std::uint16_t>{0, 999, 1002, 1004, 1005, 1006, 1015, 2999, 5000}) {
      INFO(code);
      CHECK_THROWS_AS(socket.close(code), std::invalid_argument);
    }
    CHECK_THROWS_AS(socket.close(1000, std::string(124, 'a')), std::invalid_argument);
    CHECK_THROWS_AS(socket.close(1000, "\xff"), std::invalid_argument);
    CHECK_FALSE(socket.closing());
    CHECK_THROWS_AS(socket.subscribe("a"), std::logic_error);  // there is no Redis
    CHECK_THROWS_AS(socket.subscribe("a\nb"), std::invalid_argument);
    CHECK(socket.topics().empty());
    socket.unsubscribe("a");
  });
  CHECK(test.heard().empty());
}

TEST_CASE("a route counts its sockets, their messages and their bytes", "[websocket][status]") {
  TestSocketConnection test(echo_handlers());
  test.start();
  CHECK(test.row().open == 1);
  CHECK(test.count(Count::sockets) == 1);
  CHECK(test.count(Count::sockets_opened) == 1);
  const std::string message = test.text(std::string(1000, 'a'));
  test.stream().set_room(100);
  test.send(message + message);
  CHECK(test.row().messages_in == 2);
  CHECK(test.row().messages_out == 2);
  CHECK(test.row().bytes_in == 2 * message.size());
  CHECK(test.row().bytes_out == 100);
  CHECK(test.row().queued == test.connection().queued());
  CHECK(test.row().queued > 1800);
  test.drain();
  CHECK(test.row().queued == 0);
  CHECK(test.row().bytes_out == 2 * (message.size() - 4));  // servers do not mask
  test.leave();
  CHECK(test.row().open == 0);
  CHECK(test.count(Count::sockets) == 0);
}

TEST_CASE("messages are compressed for clients that can inflate them", "[websocket][deflate]") {
  SocketRecord state = TestSocketConnection::record();
  state.compressed = true;
  state.window_bits = 15;
  TestSocketConnection test(echo_handlers());
  test.start({}, {}, state);
  const std::string message(10'000, 'a');
  test.say(message);
  CHECK(test.row().bytes_out < 200);
  CHECK(test.heard() == Texts{"text " + message});
}
