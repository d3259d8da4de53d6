// How WebSockets over HTTP/2 end, without a socket.
#include <string>
#include <vector>

#include "support/catch.h"
#include "unit/worker/http2/test_tunnels.h"
#include "unit/worker/runtime/test_loop.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using namespace std::chrono_literals;

namespace {

using Texts = std::vector<std::string>;

}  // namespace

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
  CHECK(client.heard() == Texts{"close 1001 this server process is stopping"});
  client.close(1001);
  client.finish();
  CHECK(closes.code == 1001);
  CHECK(tunnels.http().goaways().size() == 2);
  CHECK(tunnels.http().stream().fin_sent());
}
