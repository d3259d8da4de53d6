// WebSockets over HTTP/2 (RFC 8441), on real connections.
#include <signal.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "integration/tls/tls_files.h"
#include "integration/websocket/room_client.h"
#include "support/catch.h"
#include "support/clients/http2/http2_websocket.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"
#include "support/tls/tls_tunnel.h"

using namespace pronghorn::test;
using nlohmann::json;

namespace {

using Kind = WebSocketEvent::Kind;

ServerOptions cleartext(std::string app, int workers, const RedisProcess& redis) {
  return {.app = std::move(app), .workers = workers, .redis = redis.url(), .arguments = {"--http2-cleartext", "true"}};
}

std::string sockets_app() { return app_path("apps/sockets"); }

// The close frame; messages before it are skipped. 1006: the stream or the connection has ended without one.
int close_code(Http2WebSocket& client) {
  for (;;) {
    const WebSocketEvent event = client.receive();
    if (event.kind == Kind::close) return event.code;
    if (event.kind == Kind::eof) return 1006;
  }
}

int status_of(Http2Socket& socket, const std::string& path, const Http2Fields& more = {}) {
  return Http2WebSocket(socket, path, more).answer().status;
}

}  // namespace

TEST_CASE("clients of a room hear each other, whichever protocol they speak", "[http2][websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url(), .arguments = {"--http2-cleartext", "true"}});
  Http2Socket first(server.address());
  Http2Socket second(server.address());
  Http2WebSocket ada(first, "/rooms/lobby?name=ada");
  Http2WebSocket bob(first, "/rooms/lobby?name=bob");
  Http2WebSocket eve(second, "/rooms/lobby?name=eve");
  RoomClient old(server.address(), "lobby", "?name=old");
  REQUIRE(ada.answer().status == 200);
  CHECK_FALSE(ada.answer().field("sec-websocket-accept"));
  CHECK_FALSE(ada.answer().field("upgrade"));
  old.say("from HTTP/1.1");
  ada.send_text("from HTTP/2");
  first.run_until([] { return true; });
  CHECK(old.wait_for("from HTTP/2"));
  for (Http2WebSocket* client : {&ada, &bob, &eve}) {
    std::vector<std::string> texts;
    while (texts.size() < 2) {
      const json message = json::parse(client->receive_text());
      if (message.contains("text")) texts.push_back(message.at("text"));
    }
    std::ranges::sort(texts);
    CHECK(texts == std::vector<std::string>{"from HTTP/1.1", "from HTTP/2"});
  }
  CHECK(first.client().answer(1).status == 200);  // on one connection
  CHECK(ada.stream() == 1);
  CHECK(bob.stream() == 3);
}

TEST_CASE("limits, middleware and sessions of a route apply to handshakes over HTTP/2", "[http2][websocket]") {
  const RedisProcess redis;
  const ServerProcess server(cleartext(sockets_app(), 2, redis));
  Browser browser(server.address());
  REQUIRE(browser.post("/login?user=grace").status == 204);
  Http2Socket socket(server.address());
  CHECK(status_of(socket, "/limited") == 200);
  CHECK(status_of(socket, "/limited") == 200);
  CHECK(status_of(socket, "/limited") == 429);
  CHECK(status_of(socket, "/guarded") == 401);
  Http2WebSocket guarded(socket, "/guarded?key=1", {{"sec-websocket-protocol", "v1, v2"}});
  CHECK(guarded.answer().status == 200);
  CHECK(guarded.answer().field("x-marked") == "yes");
  CHECK(guarded.answer().field("sec-websocket-protocol") == "v2");
  CHECK(status_of(socket, "/orders?refuse=1") == 403);
  CHECK(status_of(socket, "/forbidden") == 403);
  Http2WebSocket orders(socket, "/orders", {{"cookie", browser.cookie_header().at(0).second}});
  orders.send_text("attachment");
  CHECK(orders.receive_text() == "grace");
}

TEST_CASE("messages over HTTP/2 of many times the windows pass both ways, also compressed", "[http2][websocket]") {
  const RedisProcess redis;
  const ServerProcess server(cleartext(sockets_app(), 1, redis));
  Http2Socket socket(server.address());
  Http2WebSocket plain(socket, "/echo");
  Http2WebSocket compressed(socket, "/echo", {{"sec-websocket-extensions", "permessage-deflate"}});
  CHECK(compressed.answer().field("sec-websocket-extensions").value_or("").starts_with("permessage-deflate"));
  std::string large(10'000'000, ' ');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>('a' + (i * i + i / 1000) % 26);
  plain.send_text(large);
  compressed.send_text(large);
  CHECK((plain.receive_text() == large));
  CHECK((compressed.receive_text() == large));
}

TEST_CASE("operators see WebSockets over HTTP/2 as they see others", "[http2][websocket][status]") {
  const RedisProcess redis;
  const ServerProcess server(cleartext(sockets_app(), 1, redis));
  Http2Socket socket(server.address());
  Http2WebSocket client(socket, "/echo");
  client.send_text("hello");
  CHECK(client.receive_text() == "hello");
  const json totals = server.status().at("totals");
  CHECK(totals.at("websockets").at("open") == 1);
  CHECK(totals.at("websockets").at("opened") == 1);
  CHECK(totals.at("http2").at("requests") == 1);
  CHECK(totals.at("in_flight") == 1);  // that of /status
  const json listed = json::parse(server.control_command({"requests", "--json"}).out);
  REQUIRE(listed.size() == 1);
  CHECK(listed[0].at("state") == "socket");
  CHECK(listed[0].at("route") == "/echo");
  CHECK(listed[0].at("client") == "127.0.0.1");
  client.finish();
  CHECK(close_code(client) == 1006);
  CHECK(eventually(10s, [&] { return server.status().at("totals").at("websockets").at("open") == 0; }));
}

TEST_CASE("the close handler runs however a WebSocket over HTTP/2 ends", "[http2][websocket][close]") {
  const RedisProcess redis;
  const ServerProcess server(cleartext(sockets_app(), 1, redis));
  const auto closed = [&](const char* code, const char* times) {
    return eventually(10s, [&] { return redis.command({"GET", std::string("closed:") + code}) == times; });
  };
  {
    Http2Socket socket(server.address());
    Http2WebSocket orderly(socket, "/orders");
    orderly.send_close(1000);
    CHECK(close_code(orderly) == 1000);
    CHECK(closed("1000", "1"));
    Http2WebSocket told(socket, "/orders");
    told.send_text("close");
    CHECK(close_code(told) == 4001);
    told.send_close(4001);
    CHECK(told.receive().kind == Kind::eof);
    CHECK(closed("4001", "1"));
    Http2WebSocket reset(socket, "/orders");
    socket.client().reset(reset.stream());
    socket.run_until([&] { return reset.answer().closed; });
    CHECK(closed("1006", "1"));
    Http2WebSocket first(socket, "/orders");
    Http2WebSocket second(socket, "/orders");
    CHECK(second.answer().status == 200);
  }  // the connection ends
  CHECK(closed("1006", "3"));
}

// Their connection ends with the worker, as over TLS.
TEST_CASE("a worker that leaves closes its WebSockets over HTTP/2 with 1001", "[http2][websocket][drain]") {
  const RedisProcess redis;
  ServerProcess server(cleartext(sockets_app(), 1, redis));
  Http2Socket socket(server.address());
  Http2WebSocket client(socket, "/orders");
  REQUIRE(client.answer().status == 200);
  SECTION("by a reload") { CHECK(server.control_command({"reload"}).status == 0); }
  SECTION("when the server stops") { server.signal(SIGTERM); }
  CHECK(close_code(client) == 1001);
  client.send_close(1001);
  client.finish();
  CHECK_FALSE(socket.run_until([] { return false; }, 20s));
  CHECK(socket.ended());
  CHECK(client.answer().complete);
  CHECK(socket.client().goaways().back().error == NGHTTP2_NO_ERROR);
  CHECK(redis.command({"GET", "closed:1001"}) == "1");
}

TEST_CASE("WebSockets over HTTP/2 end with a killed worker, and connect again", "[http2][websocket]") {
  const RedisProcess redis;
  const ServerProcess server(cleartext(sockets_app(), 1, redis));
  Http2Socket socket(server.address());
  Http2WebSocket client(socket, "/echo");
  REQUIRE(::kill(server.worker_pids().at(0), SIGKILL) == 0);
  CHECK(close_code(client) == 1006);
  REQUIRE(server.wait_ready(1));
  Http2Socket again(server.address());
  Http2WebSocket next(again, "/echo");
  next.send_text("hello");
  CHECK(next.receive_text() == "hello");
}

TEST_CASE("WebSockets over HTTP/2 and TLS work as those without", "[https][http2][websocket]") {
  const TlsFiles files;
  const ServerProcess server(files.options());
  TlsTunnel tunnel(server.address(1), {}, "\x02h2");
  Http2Socket socket(tunnel.address());
  Http2WebSocket client(socket, "/echo/socket", {{"origin", "https://a"}});
  CHECK(client.answer().status == 200);
  client.send_text("hello");
  CHECK(client.receive_text() == "hello");
  CHECK(status_of(socket, "/echo/socket", {{"origin", "http://a"}}) == 403);
}
