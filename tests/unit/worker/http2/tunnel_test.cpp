// WebSockets over HTTP/2 (RFC 8441), without a socket.
#include "worker/http2/tunnel.h"

#include <coroutine>
#include <string>
#include <vector>

#include "support/catch.h"
#include "unit/worker/http2/test_tunnels.h"
#include "unit/worker/runtime/test_loop.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using namespace std::chrono_literals;
using test::Http2Client;

namespace {

using Texts = std::vector<std::string>;

struct Closes {
  int count = 0;
  std::uint16_t code = 0;
};

// Echoes; "close" closes, "much" sends a little less than max_queue(), "too much" more. Counts how often the close handler
// runs.
detail::SocketEntry echoes(Closes& closes) {
  const auto message = [](WebSocket& socket, const Message& said) {
    if (said.text() == "close") return socket.close(4000, "enough");
    const int pieces = said.text() == "too much" ? 17 : said.text() == "much" ? 15 : 0;
    for (int i = 0; i < pieces; ++i) socket.send(std::string(65'536, 'x'));
    socket.send(said.text());
  };
  const auto close = [&closes](WebSocket&, const CloseReason& reason) {
    ++closes.count;
    closes.code = reason.code;
  };
  return {.handlers = {.message = message, .close = close}};
}

struct Forever {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}
};

// The same with coroutines that wait at the gate.
detail::SocketEntry waits_at(Gate& gate, Texts& seen) {
  const auto message = [&gate, &seen](WebSocket&, Message said) -> Task<void> {
    seen.emplace_back(said.text());
    co_await gate;
  };
  const auto close = [&gate, &seen](WebSocket&, CloseReason reason) -> Task<void> {
    seen.push_back("closes " + std::to_string(reason.code));
    co_await gate;
    seen.emplace_back("closed");
  };
  return {.handlers = {.message = message, .close = close}};
}

// A connection whose WebSockets echo.
struct EchoingTunnels {
  Closes closes;
  TestTunnels tunnels{echoes(closes)};
};
// The same, with a client that has connected.
struct EchoingTunnel : EchoingTunnels {
  TunnelClient client{tunnels.http()};
};

}  // namespace

TEST_CASE_METHOD(EchoingTunnels, "a WebSocket begins with an extended CONNECT and speaks in DATA frames",
                 "[http2][websocket]") {
  CHECK(tunnels.http().client().settings().at(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1);
  TunnelClient client(tunnels.http());
  CHECK(client.answer().status == 200);
  CHECK_FALSE(client.answer().field("content-length"));
  CHECK_FALSE(client.answer().complete);
  client.say("hi");
  client.say("there");
  CHECK(client.heard() == Texts{"text hi", "text there"});
  TunnelClient second(tunnels.http());
  second.say("me too");
  CHECK(second.heard() == Texts{"text me too"});
  CHECK(client.heard().empty());
  CHECK(tunnels.row().open == 2);
  CHECK(tunnels.http().count(Count::requests) == 2);
  CHECK(tunnels.http().count(Count::http2_requests) == 2);
  CHECK(tunnels.http().count(Count::in_flight) == 0);
  CHECK(tunnels.http().count(Count::sockets_opened) == 2);
}

TEST_CASE_METHOD(EchoingTunnels, "the application sees the handshake over HTTP/2 as the GET request that it would be",
                 "[http2][websocket]") {
  std::string seen;
  tunnels.answer_with([&seen](Exchange& exchange) {
    seen = std::string(exchange.head.method) + " " + std::string(exchange.head.path);
    exchange.owner->respond(exchange, problem(403));
  });
  TunnelClient refused(tunnels.http());
  CHECK(seen == "GET /socket");
  CHECK(refused.answer().status == 403);
  CHECK(refused.answer().complete);
  TunnelClient elsewhere(tunnels.http(), {{":path", "/other"}});
  CHECK(elsewhere.answer().closed);  // two paths
  const auto other = tunnels.http().client().raw_request({{":method", "CONNECT"},
                                                          {":protocol", "websocket"},
                                                          {":scheme", "https"},
                                                          {":authority", "a"},
                                                          {":path", "/other"}},
                                                         {}, true);
  tunnels.http().run();
  CHECK(seen == "CONNECT /other");
  CHECK(tunnels.http().client().answer(other).status == 403);
}

// A 2xx would tell the client that it may speak WebSocket now.
TEST_CASE_METHOD(EchoingTunnels, "a response that is not from the WebSocket does not accept an extended CONNECT",
                 "[http2][websocket]") {
  tunnels.answer_with(answer_hello);
  TunnelClient client(tunnels.http(), {}, TunnelClient::text("too early"));
  CHECK(client.answer().status == 403);
  CHECK(client.answer().complete);
  CHECK(client.answer().closed);
  CHECK(tunnels.row().open == 0);
  CHECK(tunnels.http().ask("GET", "/").status == 200);
}

// What follows the head of an extended CONNECT is no body, which would be waited for.
TEST_CASE_METHOD(EchoingTunnels, "the handler of a handshake over HTTP/2 may read the body that it has not",
                 "[http2][websocket]") {
  tunnels.answer_with(coroutine([](Request& request) -> Task<Response> {
    const std::string_view body = co_await request.body();
    Forever forever;
    if (body.empty()) co_await forever;
    co_return text("there is a body");
  }));
  TunnelClient client(tunnels.http(), {{"expect", "100-continue"}}, TunnelClient::text("early"));
  tunnels.http().pass(10s);
  tunnels.http().run();
  CHECK(client.answer().status == 0);
  CHECK_FALSE(client.answer().closed);
  CHECK(tunnels.http().count(Count::timeouts) == 0);
}

TEST_CASE_METHOD(EchoingTunnels, "messages right behind the handshake are handled", "[http2][websocket]") {
  TunnelClient client(tunnels.http(), {}, TunnelClient::text("early") + TunnelClient::text("bird"));
  CHECK(client.heard() == Texts{"text early", "text bird"});
}

TEST_CASE_METHOD(EchoingTunnel, "a client that ends its stream leaves its WebSocket", "[http2][websocket]") {
  client.send(TunnelClient::text("last"), true);
  CHECK(client.heard() == Texts{"text last"});
  CHECK(client.answer().complete);
  CHECK(client.answer().closed);
  CHECK(client.answer().error == NGHTTP2_NO_ERROR);
  CHECK(closes.count == 1);
  CHECK(closes.code == kCloseAbnormal);
  CHECK(tunnels.row().open == 0);
  TunnelClient at_once(tunnels.http(), {}, {}, true);
  CHECK(at_once.answer().status == 200);
  CHECK(at_once.answer().complete);
  CHECK(closes.count == 2);
}

TEST_CASE_METHOD(EchoingTunnel, "a client that resets its stream leaves its WebSocket, and the connection goes on",
                 "[http2][websocket]") {
  TunnelClient other(tunnels.http());
  client.reset();
  CHECK(closes.count == 1);
  CHECK(closes.code == kCloseAbnormal);
  other.say("still here");
  CHECK(other.heard() == Texts{"text still here"});
  CHECK(tunnels.row().open == 1);
  CHECK(tunnels.http().count(Count::lost_client_left) == 0);
}

TEST_CASE_METHOD(EchoingTunnel, "the server's close is answered and both sides end the stream",
                 "[http2][websocket][close]") {
  client.say("close");
  CHECK(client.heard() == Texts{"close 4000 enough"});
  CHECK_FALSE(client.answer().complete);
  client.close(4000);
  CHECK(closes.count == 1);
  CHECK(closes.code == 4000);
  CHECK(client.answer().complete);
  CHECK_FALSE(client.answer().closed);
  SECTION("by the client, too") {
    client.finish();
    CHECK(client.answer().error == NGHTTP2_NO_ERROR);
  }
  SECTION("or it is reset") {
    tunnels.http().pass(2750ms);
    tunnels.http().run();
    CHECK_FALSE(client.answer().closed);
    tunnels.http().pass(500ms);
    tunnels.http().run();
    CHECK(client.answer().closed);
    CHECK(client.answer().error == NGHTTP2_NO_ERROR);
  }
}

TEST_CASE_METHOD(EchoingTunnel, "the client's close is answered", "[http2][websocket][close]") {
  client.close(1001);
  CHECK(client.heard() == Texts{"close 1001"});
  CHECK(client.answer().complete);
  CHECK(closes.code == 1001);
}

TEST_CASE_METHOD(EchoingTunnel, "a client that breaks the WebSocket protocol is told and its stream ended",
                 "[http2][websocket][close]") {
  client.send("\x81\x02hi");  // no mask
  const Texts heard = client.heard();
  REQUIRE(heard.size() == 1);
  CHECK(heard[0].starts_with("close 1002"));
  CHECK(client.answer().complete);
  client.finish();
  CHECK(client.answer().closed);
  CHECK(closes.code == 1002);
}

TEST_CASE_METHOD(EchoingTunnel, "a header block within a tunnel resets it", "[http2][websocket]") {
  tunnels.http().client().send_trailers(client.id(), {{"x", "1"}});
  tunnels.http().run();
  CHECK(client.answer().closed);
  CHECK(client.answer().error == NGHTTP2_PROTOCOL_ERROR);
  CHECK(closes.code == kCloseAbnormal);
}

TEST_CASE("a client may send no more than its WebSocket reads", "[http2][websocket][backpressure]") {
  Gate gate;
  Texts seen;
  TestTunnels tunnels(waits_at(gate, seen));
  TunnelClient client(tunnels.http());
  std::string sent;
  constexpr int kMessages = 600;
  for (int i = 0; i < kMessages; ++i) sent += TunnelClient::text(std::to_string(i) + std::string(1000, ' '));
  client.send(sent);
  CHECK(seen.size() == 1);
  CHECK(client.unsent() > sent.size() / 2);
  TunnelClient other(tunnels.http());  // is not held back
  other.say("other");
  CHECK(seen.size() == 2);
  while (gate.waiting() != 0) {
    gate.open();
    tunnels.http().run();
  }
  REQUIRE(seen.size() == kMessages + 1);
  CHECK(seen.back().starts_with(std::to_string(kMessages - 1) + " "));
  CHECK(client.unsent() == 0);
}

TEST_CASE("what the window of a client does not take waits, and is sent when it opens", "[http2][websocket]") {
  Closes closes;
  TestTunnels tunnels(echoes(closes), TestHttp2::quick_config(), {.window = 100'000, .reads_bodies = false});
  TunnelClient client(tunnels.http());
  client.say("much");
  CHECK(client.answer().body.size() < 100'001);
  CHECK(tunnels.row().queued > 900'000);
  tunnels.http().client().widen(client.id(), 2'000'000);
  tunnels.http().client().widen(0, 2'000'000);
  tunnels.http().run();
  CHECK(client.heard().size() == 16);
  CHECK(tunnels.row().queued == 0);
  CHECK(closes.count == 0);
}

TEST_CASE("a client whose window stays closed is too slow", "[http2][websocket][limits]") {
  Closes closes;
  TestTunnels tunnels(echoes(closes), TestHttp2::quick_config(), {.window = 1000, .reads_bodies = false});
  TunnelClient client(tunnels.http());
  TunnelClient other(tunnels.http());
  SECTION("after write_timeout") {
    client.say("much");
    tunnels.http().pass(2500ms);
    CHECK(closes.count == 0);
    tunnels.http().pass(1000ms);
    CHECK(tunnels.http().count(Count::limit_write_time) == 1);
    tunnels.http().run();
    CHECK(client.answer().error == NGHTTP2_CANCEL);  // not END_STREAM: the client has not got all
  }
  SECTION("as soon as max_queue() is reached") {
    client.say("too much");
    CHECK(tunnels.http().count(Count::sockets_too_slow) == 1);
  }
  tunnels.http().run();
  CHECK(closes.count == 1);
  CHECK((client.answer().complete || client.answer().closed));
  other.say("quick");
  CHECK(other.heard() == Texts{"text quick"});
  CHECK(tunnels.row().queued == 0);
}

TEST_CASE("idle WebSockets over HTTP/2 are pinged, and end if they do not answer", "[http2][websocket][ping]") {
  Closes closes;
  Config config = TestHttp2::quick_config();
  config.http.websocket_ping = Milliseconds(2000);
  TestTunnels tunnels(echoes(closes), config);
  TunnelClient client(tunnels.http());
  tunnels.http().pass(2250ms);
  tunnels.http().run();
  CHECK(client.heard() == Texts{"ping"});
  tunnels.http().pass(2250ms);
  tunnels.http().run();
  CHECK(closes.count == 1);
  CHECK(closes.code == kCloseAbnormal);
  CHECK(client.answer().complete);
  CHECK(tunnels.http().count(Count::limit_websocket_ping) == 1);
}

TEST_CASE_METHOD(EchoingTunnel, "bytes of a WebSocket over HTTP/2 are counted once", "[http2][websocket]") {
  const std::uint64_t in = tunnels.http().count(Count::bytes_in);
  const std::uint64_t out = tunnels.http().count(Count::bytes_out);
  client.say(std::string(10'000, 'x'));
  CHECK(client.heard().size() == 1);
  CHECK(tunnels.http().count(Count::bytes_in) - in < 11'000);
  CHECK(tunnels.http().count(Count::bytes_out) - out < 11'000);
  CHECK(tunnels.row().bytes_in > 10'000);
  CHECK(tunnels.row().bytes_out > 10'000);
}

// Each message may cost the client a WINDOW_UPDATE of the stream and one of the connection.
TEST_CASE("a client that acknowledges each message floods nobody", "[http2][websocket][limits]") {
  Closes closes;
  TestTunnels tunnels(echoes(closes), TestHttp2::quick_config(), {.window = 1'000'000, .reads_bodies = false});
  TunnelClient client(tunnels.http());
  for (int i = 0; i < 3000; ++i) {
    tunnels.http().client().widen(client.id(), 3);
    tunnels.http().client().widen(0, 3);
    client.say("a");
  }
  CHECK(client.heard().size() == 3000);
  CHECK(tunnels.http().count(Count::limit_control_frames) == 0);
}

TEST_CASE("the close handlers of all WebSockets run when their connection breaks", "[http2][websocket]") {
  Gate gate;
  Texts seen;
  TestTunnels tunnels(waits_at(gate, seen));
  TunnelClient first(tunnels.http());
  TunnelClient second(tunnels.http());
  tunnels.http().stream().fail();
  tunnels.http().end_turn();
  CHECK(seen == Texts{"closes 1006", "closes 1006"});
  CHECK_FALSE(tunnels.http().open());
  tunnels.http().stream().report_closed();
  CHECK(tunnels.http().closings() == 0);  // the worker waits for the handlers
  gate.open();
  tunnels.http().end_turn();
  tunnels.http().end_turn();
  CHECK(seen.size() == 4);
  CHECK(tunnels.http().closings() == 1);
}

TEST_CASE("a client may leave in every state of its WebSocket", "[http2][websocket]") {
  enum class State { handshake, accepted, idle, handling, owing, closing, closed };
  enum class Leaves { resets, finishes, breaks };
  const State state = GENERATE(State::handshake, State::accepted, State::idle, State::handling, State::owing,
                               State::closing, State::closed);
  const Leaves leaves = GENERATE(Leaves::resets, Leaves::finishes, Leaves::breaks);
  CAPTURE(state, leaves);
  TestLoop loop;  // where the close handler of a WebSocket runs that was never served
  Gate gate;
  int closes = 0;
  const auto message = [&gate](WebSocket& socket, Message said) -> Task<void> {
    if (said.text() == "wait") co_await gate;
    for (int i = 0; i < 15 && said.text() == "much"; ++i) socket.send(std::string(65'536, 'x'));
    if (said.text() == "close") socket.close(4000, "enough");
  };
  const auto close = [&gate, &closes](WebSocket&, CloseReason) -> Task<void> {
    ++closes;
    co_await gate;
  };
  TestTunnels test({.handlers = {.message = message, .close = close}}, TestHttp2::quick_config(),
                   {.window = 1000, .reads_bodies = false});
  TestHttp2& http = test.http();
  Exchange* waiting = nullptr;
  if (state <= State::accepted) test.answer_with([&waiting](Exchange& exchange) { waiting = &exchange; });
  TunnelClient client(http);

  if (state == State::accepted) test.accept(*waiting);  // and what follows arrives in the same turn
  if (state == State::handling) client.say("wait");
  if (state == State::owing) client.say("much");
  if (state == State::closing) client.say("close");
  if (state == State::closed) client.close(1000);
  if (leaves == Leaves::resets) client.reset();
  if (leaves == Leaves::finishes) client.finish();
  if (leaves == Leaves::breaks) http.stream().fail();
  http.run();
  const bool accepts_late = state == State::handshake && leaves == Leaves::finishes;
  if (accepts_late) test.accept(*waiting);
  http.run();

  for (int i = 0; i < 3; ++i) {
    gate.open();
    http.run();
  }
  if (http.open()) http.pass(10s);  // the server ends what the client has left half open
  gate.open();                      // only now, if the client was owed something that it never took
  http.run();
  CHECK(closes == (state == State::handshake && !accepts_late ? 0 : 1));
  CHECK(test.row().open == 0);
  CHECK(http.count(Count::in_flight) == 0);
  CHECK(http.open() == (leaves != Leaves::breaks));
  if (http.open()) CHECK((client.answer().closed || client.answer().complete));
  http.connection().close();
  http.stream().report_closed();
  http.end_turn();
  CHECK(http.closings() == 1);  // no tunnel is left
}

TEST_CASE("an owner that closes the connection runs no close handlers of WebSockets", "[http2][websocket]") {
  Gate gate;
  Texts seen;
  TestTunnels tunnels(waits_at(gate, seen));
  TunnelClient idle(tunnels.http());
  TunnelClient busy(tunnels.http());
  busy.say("busy");
  SECTION("while the client is there") { tunnels.http().connection().close(); }
  SECTION("while they run") {
    tunnels.http().stream().fail();
    tunnels.http().end_turn();
    CHECK(seen == Texts{"busy", "closes 1006"});
    tunnels.http().connection().close();
  }
  tunnels.http().stream().report_closed();
  tunnels.http().end_turn();
  tunnels.http().end_turn();
  CHECK(tunnels.http().closings() == 1);
  CHECK(seen.back() != "closed");
  CHECK(tunnels.row().open == 0);
}

TEST_CASE_METHOD(EchoingTunnel, "WebSockets of a draining worker are closed, and then the connection",
                 "[http2][websocket][drain]") {
  tunnels.http().context().draining = true;
  tunnels.http().connection().drain(false);
  tunnels.http().run();
  CHECK(client.heard().empty());  // as over TLS: it has two seconds
  client.say("still here");
  CHECK(client.heard() == Texts{"text still here"});
  tunnels.http().connection().drain(true);
  tunnels.http().run();
  CHECK(client.heard() == Texts{"close 1001 the server is stopping"});
  client.close(1001);
  client.finish();
  CHECK(closes.code == 1001);
  CHECK(tunnels.http().goaways().size() == 2);
  CHECK(tunnels.http().stream().fin_sent());
}
