// Handshakes of WebSockets, and what of a route applies to them.
#include <string>

#include "integration/websocket/room_client.h"
#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

constexpr const char* kRoutes[] = {"/echo/socket", "/rooms/lobby"};

}  // namespace

TEST_CASE("a plain GET on a WebSocket route is answered 426 with what to send", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 1, .redis = redis.url()});
  HttpConnection connection(server.address());
  for (const char* route : kRoutes) {
    INFO(route);
    const HttpResponse response = connection.get(route);
    CHECK(response.status == 426);
    CHECK(response.header("Upgrade") == "websocket");
    CHECK(response.header("Connection").find("pgrade") != std::string::npos);
    CHECK(response.header("Sec-WebSocket-Version") == "13");
    CHECK(response.header("Content-Type") == "application/problem+json");
  }
  const HttpResponse old = connection.get("/echo/socket", {{"Connection", "Upgrade"},
                                                           {"Upgrade", "websocket"},
                                                           {"Sec-WebSocket-Version", "8"},
                                                           {"Sec-WebSocket-Key", kKey}});
  CHECK(old.status == 426);
  CHECK(connection.request("POST", "/echo/socket").status == 405);
}

TEST_CASE("pages of another origin are answered 403, those of the server itself are not", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 1, .redis = redis.url()});
  for (const char* route : kRoutes) {
    INFO(route);
    for (const char* foreign : {"https://evil.example", "http://evil.localhost", "https://localhost", "null",
                                "http://localhost:81", "http://localhost.evil.example"}) {
      INFO(foreign);
      CHECK(handshake_status(server.address(), route, {{"Host", "localhost"}, {"Origin", foreign}}) == 403);
    }
    CHECK(handshake_status(server.address(), route, {{"Host", "localhost"}, {"Origin", "http://localhost"}}) == 101);
    CHECK(handshake_status(server.address(), route) == 101);
  }
}

TEST_CASE("a malformed handshake is answered 400", "[websocket]") {
  const ServerProcess server({.workers = 1});
  const Headers good{{"Connection", "Upgrade"},
                     {"Upgrade", "websocket"},
                     {"Sec-WebSocket-Version", "13"},
                     {"Sec-WebSocket-Key", kKey}};
  for (std::size_t missing : {0U, 2U, 3U}) {
    Headers fields = good;
    fields.erase(fields.begin() + static_cast<std::ptrdiff_t>(missing));
    INFO("without " << good[missing].first);
    CHECK(get(server.address(), "/echo/socket", fields).status == 400);
  }
  for (const char* key : {"", "short", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZSE="}) {
    Headers fields = good;
    fields[3].second = key;
    INFO(key);
    CHECK(get(server.address(), "/echo/socket", fields).status == 400);
  }
}

TEST_CASE("the echo route sends text and binary messages of up to 1 MiB back", "[websocket]") {
  const ServerProcess server({.workers = 1});
  for (const bool compressed : {false, true}) {
    INFO(compressed);
    WebSocketClient client(server.address(), "/echo/socket", {.compress = compressed});
    CHECK(client.compresses() == compressed);
    for (const std::size_t size : {0U, 1U, 125U, 126U, 65535U, 65536U, 1024U * 1024U}) {
      INFO(size);
      std::string bytes(size, '\0');
      for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i % 251);
      client.send_binary(bytes);
      const WebSocketEvent echo = client.receive();
      CHECK(echo.kind == WebSocketEvent::Kind::binary);
      CHECK((echo.payload == bytes));
      const std::string text(size, 'a');
      client.send_text(text);
      CHECK((client.receive_text() == text));
    }
    client.send_text(std::string(1024 * 1024 + 1, 'a'));
    CHECK(close_code(client) == 1009);
  }
}

TEST_CASE("limits and middleware of a route apply to its handshakes", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.app = app_path("apps/sockets"), .workers = 2, .redis = redis.url()});
  CHECK(handshake_status(server.address(), "/limited") == 101);
  CHECK(handshake_status(server.address(), "/limited") == 101);
  CHECK(handshake_status(server.address(), "/limited") == 429);
  CHECK(handshake_status(server.address(), "/guarded") == 401);
  const HttpResponse marked = handshake(server.address(), "/guarded?key=1");
  CHECK(marked.status == 101);
  CHECK(marked.header("X-Marked") == "yes");
}

// The connection became a WebSocket behind the 403.
TEST_CASE("after middleware may refuse a handshake that the handler has accepted", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.app = app_path("apps/sockets"), .workers = 1, .redis = redis.url()});
  HttpConnection connection(server.address());
  const HttpResponse refused = connection.get("/forbidden", {{"Connection", "Upgrade"},
                                                             {"Upgrade", "websocket"},
                                                             {"Sec-WebSocket-Version", "13"},
                                                             {"Sec-WebSocket-Protocol", "v1"},
                                                             {"Sec-WebSocket-Key", kKey}});
  CHECK(refused.status == 403);
  CHECK(refused.body == "not here");
  for (const char* const field : {"Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol"}) {
    CHECK(refused.header(field).empty());
  }
  CHECK(connection.request("POST", "/login?user=grace").status == 204);  // it still speaks HTTP
  CHECK(eventually(10s, [&] { return redis.command({"GET", "closed:1006"}) == "1"; }));
}

TEST_CASE("a handshake has the client's session, and `open` may refuse it", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.app = app_path("apps/sockets"), .workers = 2, .redis = redis.url()});
  Browser browser(server.address());
  REQUIRE(browser.post("/login?user=grace").status == 204);
  WebSocketClient client(server.address(), "/orders", {.headers = browser.cookie_header()});
  client.send_text("attachment");
  CHECK(client.receive_text() == "grace");
  CHECK(handshake_status(server.address(), "/orders?refuse=1") == 403);
}

TEST_CASE("a subprotocol is one that both sides speak, the server's favourite first", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.app = app_path("apps/sockets"), .workers = 1, .redis = redis.url()});
  const auto agreed = [&](const char* offered) {
    return handshake(server.address(), "/guarded?key=1", {{"Sec-WebSocket-Protocol", offered}})
        .header("Sec-WebSocket-Protocol");
  };
  CHECK(agreed("v1, v2") == "v2");
  CHECK(agreed("v0, v1") == "v1");
  CHECK(agreed("v0").empty());
}

TEST_CASE("what `open` sends comes right behind the answer, and once", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.app = app_path("apps/sockets"), .workers = 1, .redis = redis.url()});
  REQUIRE(post(server.address(), "/news", "news").status == 204);
  WebSocketClient client(server.address(), "/news/after?after=0");
  CHECK(client.receive_text() == "welcome");
  CHECK(client.receive_text() == "news");
  CHECK(client.close().describe() == "close 1000");
  WebSocketClient refused(server.address(), "/refusing");
  CHECK(refused.open());
  CHECK(refused.receive().describe() == "close 4001 not you");
  refused.send_close(4001);
  CHECK(refused.receive().kind == WebSocketEvent::Kind::eof);
}
