// Sockets that another worker has served.
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

struct Seen {
  Texts messages;
  int closes = 0;
  std::uint16_t code = 0;
};

detail::SocketEntry notes(Seen& seen) {
  const auto message = [&seen](WebSocket& socket, const Message& text) {
    seen.messages.push_back((text.again() ? "again " : "") + std::string(text.text()));
    socket.send(socket.attachment() + std::string(text.text()));
  };
  const auto close = [&seen](WebSocket&, const CloseReason& reason) {
    ++seen.closes;
    seen.code = reason.code;
  };
  return {.handlers = {.message = message, .close = close}};
}

std::string state_of(const SocketRecord& record) {
  std::string state;
  write_record(record, state);
  return state;
}

SocketRecord attached() {
  SocketRecord record = Test::record();
  record.attachment = "Ada:";
  return record;
}

HandoffRecord socket_record() {
  HandoffRecord record;
  record.socket = 1;
  record.opened_ms = 5;
  return record;
}

}  // namespace

TEST_CASE("a socket of another worker goes on with its id, its attachment and what the client is owed",
          "[websocket][survival]") {
  Seen seen;
  Test test(notes(seen));
  const std::string state = state_of(attached());
  const std::string owed("\x81\x04owed", 6);
  const std::string unanswered = test.text("a") + test.text("b").substr(0, 3);
  test.resume(socket_record(), {.unanswered = unanswered, .unsent = owed, .state = state});
  CHECK(test.connection().socket().record().id == kTestSocketId);
  CHECK(test.connection().opened_ms() == 5);
  CHECK(seen.messages == Texts{"a"});
  const Texts heard = test.heard();
  REQUIRE(heard.size() == 2);
  CHECK(heard[0] == "text owed");
  CHECK(heard[1] == "text Ada:a");
  CHECK(test.row().open == 1);
  CHECK(test.count(Count::sockets_opened) == 0);
}

TEST_CASE("a message whose worker was killed is handled again, and says so", "[websocket][survival]") {
  Seen seen;
  Test test(notes(seen));
  HandoffRecord record = socket_record();
  record.begun = Begun::again;
  record.begun_until = 1;
  const std::string state = state_of(attached());
  const std::string unanswered = test.text("a") + test.text("b");
  test.resume(record, {.unanswered = unanswered, .state = state});
  CHECK(seen.messages == Texts{"again a", "b"});
}

TEST_CASE("a message that crashed its worker is not handled, and closes its socket", "[websocket][survival]") {
  Seen seen;
  Test test(notes(seen));
  HandoffRecord record = socket_record();
  record.begun = GENERATE(Begun::guilty, Begun::unknown);
  record.begun_until = 1;
  const std::string state = state_of(attached());
  const std::string unanswered = test.text("a") + test.text("b");
  test.resume(record, {.unanswered = unanswered, .state = state});
  CHECK(seen.messages.empty());
  CHECK(test.heard() == Texts{"close 1011 the server failed while it handled a message"});
  test.leave();
  CHECK(seen.closes == 1);
  CHECK(seen.code == 1011);
}

TEST_CASE("messages before the one that crashed its worker are handled again", "[websocket][survival]") {
  Seen seen;
  Test test(notes(seen));
  const std::string first = test.text("a");
  HandoffRecord record = socket_record();
  record.begun = Begun::guilty;
  record.begun_until = record.answered + first.size() + 1;
  const std::string state = state_of(attached());
  const std::string unanswered = first + test.text("b");
  test.resume(record, {.unanswered = unanswered, .state = state});
  CHECK(seen.messages == Texts{"again a"});
  CHECK(test.heard() == Texts{"text Ada:a", "close 1011 the server failed while it handled a message"});
}

TEST_CASE("a socket whose message was lost in part is closed with 1012", "[websocket][survival]") {
  Seen seen;
  Test test(notes(seen));
  HandoffRecord record = socket_record();
  record.truncated = 1;
  const std::string state = state_of(attached());
  test.resume(record, {.state = state});
  CHECK(test.heard() == Texts{"close 1012 the server was restarted while a message arrived"});
  test.send(test.text("a") + test.close_frame(1012));
  CHECK(seen.messages.empty());
  test.leave();
  CHECK(seen.closes == 1);
}

TEST_CASE("a socket of a route that this version does not have is closed with 1001", "[websocket][survival]") {
  Seen seen;
  Test test(notes(seen));
  SocketRecord other = attached();
  other.route = "/gone";
  const std::string state = state_of(other);
  test.resume(socket_record(), {.unanswered = test.text("a"), .state = state});
  CHECK(test.heard() == Texts{"close 1001 this version of the application has no such route"});
  CHECK(test.row().open == 0);
  CHECK(test.count(Count::sockets) == 1);
  test.leave();
  CHECK_FALSE(test.open());
  CHECK(test.count(Count::sockets) == 0);
  CHECK(seen.messages.empty());
  CHECK(seen.closes == 0);
}

TEST_CASE("a socket whose state is not one is closed, whatever it is", "[websocket][survival][hostile]") {
  Seen seen;
  const std::string whole = state_of(attached());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    Test test(notes(seen));
    test.resume(socket_record(), {.unanswered = test.text("a"), .state = std::string_view(whole).substr(0, size)});
    REQUIRE(test.heard().size() == 1);
    test.leave();
    CHECK_FALSE(test.open());
  }
  CHECK(seen.messages.empty());
  CHECK(seen.closes == 0);
}

TEST_CASE("a socket whose close frame was sent by another worker waits for the client's", "[websocket][survival]") {
  Seen seen;
  Test test(notes(seen));
  SocketRecord closing = attached();
  closing.sent_close = 4000;
  const std::string state = state_of(closing);
  test.resume(socket_record(), {.unanswered = test.text("a"), .state = state});
  CHECK(test.heard().empty());
  CHECK(test.open());
  test.send(test.close_frame(4000));
  CHECK(seen.messages.empty());
  CHECK(seen.closes == 1);
  CHECK(seen.code == 4000);
  CHECK_FALSE(test.open());
}

TEST_CASE("a close handler whose worker was killed runs again, one that had ended or crashed it does not",
          "[websocket][survival]") {
  Seen seen;
  const auto resume = [&seen](auto change) {
    seen = {};
    Test test(notes(seen));
    HandoffRecord record = socket_record();
    record.closing = 1;
    change(record);
    const std::string state = state_of(attached());
    test.resume(record, {.state = state});
    CHECK_FALSE(test.open());
    return seen.closes;
  };
  CHECK(resume([](HandoffRecord&) {}) == 1);
  CHECK(resume([](HandoffRecord& record) { record.ends = 1; }) == 0);
  CHECK(resume([](HandoffRecord& record) { record.begun = Begun::guilty, record.begun_until = kCloseBegun; }) == 0);
}

TEST_CASE("a socket can move when nothing is being done for it", "[websocket][survival]") {
  Gate gate;
  Test test({.handlers = {.message = [&gate](WebSocket&) -> Task<void> { co_await gate; }}});
  test.start();
  CHECK_FALSE(test.connection().can_move());  // it has no entry in the ledger
  test.connection().drain(false);
  test.end_turn();
  CHECK(test.heard().empty());
  test.connection().moved();
  test.end_turn();
  CHECK_FALSE(test.open());
  CHECK(test.row().open == 0);
}
