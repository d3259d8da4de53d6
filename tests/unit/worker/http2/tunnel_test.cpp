// WebSockets over HTTP/2 (RFC 8441), without a socket: how they begin, and what they send.
#include "worker/http2/tunnel.h"

#include <coroutine>
#include <string>
#include <vector>

#include "support/catch.h"
#include "unit/worker/http2/test_tunnels.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using namespace std::chrono_literals;

namespace {

using Texts = std::vector<std::string>;

struct Forever {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}
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
