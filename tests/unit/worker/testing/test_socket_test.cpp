// WebSockets through a TestClient.
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

using Texts = std::vector<std::string>;

void echo(WebSocket& socket, const Message& message) {
  message.is_text() ? socket.send(message.text()) : socket.send_binary(message.bytes());
}

// Rooms: a message goes to all who are in the room of its socket.
void rooms(App& app) {
  app.websocket("/rooms/{room}", {.open =
                                      [](WebSocket& socket, Request& request) {
                                        socket.attach(request.query("name").value_or("guest"));
                                        socket.subscribe("room:" + request.param<std::string>("room"),
                                                         {.history = 10, .after = request.query("since").value_or("")});
                                      },
                                  .message = [](WebSocket& socket, Message message) -> Task<void> {
                                    const std::string text = socket.attachment() + ": " + std::string(message.text());
                                    co_await socket.publish(socket.topics().front(), text);
                                  }});
}

}  // namespace

TEST_CASE("a test exchanges messages with a socket", "[testing][websocket]") {
  TestClient client([](App& app) { app.websocket("/s", {.message = echo}); });
  TestSocket socket = client.websocket("/s");
  REQUIRE(socket.accepted());
  CHECK(socket.response().status == 101);
  CHECK(socket.response().header("Upgrade") == "websocket");
  socket.send("hi");
  socket.send_binary(std::string("\0\xff", 2));
  const std::string large(100'000, 'a');
  socket.send(large);
  CHECK(socket.receive() == "hi");
  CHECK_THROWS_WITH(socket.receive(), "TestSocket: the next message is binary: use receive_binary()");
  CHECK(socket.receive_binary() == std::string("\0\xff", 2));
  CHECK(socket.receive() == large);
  socket.close();
  CHECK(socket.closed().code == 1000);
}

TEST_CASE("what `open` does is seen behind the handshake", "[testing][websocket]") {
  TestClient client([](App& app) {
    app.websocket("/s/{name}", {.open = [](WebSocket& socket, Request& request) -> Task<void> {
                    const auto name = request.param<std::string>("name");
                    if (name == "nobody") throw HttpError(403, "not you");
                    co_await sleep_for(1ms);
                    socket.send("welcome " + name);
                    if (name == "guest") socket.close(4001, "full");
                  }})
        .subprotocol("chat");
  });
  TestSocket ada = client.websocket("/s/ada", {{"Sec-WebSocket-Protocol", "other, chat"}});
  CHECK(ada.response().header("Sec-WebSocket-Protocol") == "chat");
  CHECK(ada.receive() == "welcome ada");
  TestSocket guest = client.websocket("/s/guest");
  CHECK(guest.receive() == "welcome guest");
  CHECK(guest.closed().code == 4001);
  CHECK(guest.closed().reason == "full");
  CHECK_THROWS_WITH(guest.receive(), "TestSocket: no message: the server has closed the socket with 4001 (full)");
  CHECK_THROWS_WITH(guest.send("a"), "TestSocket: not sent: the server has closed the socket with 4001 (full)");
}

TEST_CASE("a refused handshake is a response", "[testing][websocket]") {
  TestClient client([](App& app) {
    app.websocket("/s", {.open = [](WebSocket&, Request&) { throw HttpError(403, "not you"); }});
    app.websocket("/own", {});
  });
  TestSocket refused = client.websocket("/s");
  CHECK_FALSE(refused.accepted());
  CHECK(refused.response().status == 403);
  CHECK(refused.response().body.find("not you") != std::string::npos);
  CHECK_THROWS_AS(refused.receive(), std::runtime_error);
  CHECK_THROWS_AS(refused.send("a"), std::runtime_error);
  CHECK_THROWS_AS(refused.closed(), std::runtime_error);
  CHECK(client.websocket("/none").response().status == 404);
  CHECK(client.websocket("/own", {{"Origin", "https://evil.example"}}).response().status == 403);
  CHECK(client.websocket("/own", {{"Origin", "http://localhost"}}).accepted());
  CHECK(client.get("/own").status == 426);
}

TEST_CASE("a refused handshake passes on_error as any error", "[testing][websocket]") {
  TestClient client([](App& app) {
    app.websocket("/socket", {});
    app.on_error([](Request&, const ErrorAnswer& error) { return text("sorry", error.status); });
  });
  const auto plain = client.get("/socket");
  CHECK(plain.status == 426);
  CHECK(plain.body == "sorry");
  CHECK(plain.header("Sec-WebSocket-Version") == "13");
  CHECK(plain.header("Upgrade") == "websocket");
}

TEST_CASE("middleware, limits and cookies apply to the handshake", "[testing][websocket]") {
  TestClient client([](App& app) {
    app.use([](Request& request) -> std::optional<Response> {
      if (request.header("X-Key") == "secret") return std::nullopt;
      return problem(401);
    });
    app.use([](Request&, Response& response) { response.append("Set-Cookie", "seen=1; Path=/"); });
    app.websocket("/s", {.open = [](WebSocket& socket, Request& request) {
                    socket.send(request.header("Cookie").value_or("no cookie"));
                  }});
  });
  CHECK(client.websocket("/s").response().status == 401);
  const TestClient::Headers key{{"X-Key", "secret"}};
  CHECK(client.websocket("/s", key).receive() == "seen=1");
}

TEST_CASE("a session reaches the socket", "[testing][websocket][redis]") {
  TestClient client(
      [](App& app) {
        app.post("/login", [](Request& request) -> Task<Response> {
          Session session = co_await request.session();
          session.set("user", "Ada");
          co_return text("ok");
        });
        app.websocket("/s", {.open = [](WebSocket& socket, Request& request) -> Task<void> {
                        Session session = co_await request.session();
                        socket.send(session.get("user").value_or("nobody"));
                      }});
      },
      {.redis = "temporary"});
  CHECK(client.websocket("/s").receive() == "nobody");
  CHECK(client.post("/login").status == 200);
  CHECK(client.websocket("/s").receive() == "Ada");
}

TEST_CASE("the sockets of a client are in the same rooms", "[testing][websocket][redis]") {
  TestClient client(rooms, {.redis = "temporary"});
  TestSocket ada = client.websocket("/rooms/a?name=ada");
  TestSocket bob = client.websocket("/rooms/a?name=bob");
  TestSocket eve = client.websocket("/rooms/b?name=eve");
  ada.send("hello");
  CHECK(ada.receive() == "ada: hello");
  CHECK(bob.receive() == "ada: hello");
  bob.send("hi");
  CHECK(ada.receive() == "bob: hi");
  eve.send("alone");
  CHECK(eve.receive() == "eve: alone");  // and nothing from the other room before
}

TEST_CASE("a socket that comes later gets the history that it asks for", "[testing][websocket][redis]") {
  TestClient client(rooms, {.redis = "temporary"});
  {
    TestSocket ada = client.websocket("/rooms/a?name=ada");
    ada.send("1");
    ada.send("2");
    CHECK(ada.receive() == "ada: 1");
    CHECK(ada.receive() == "ada: 2");
  }
  TestSocket bob = client.websocket("/rooms/a?since=0");
  CHECK(bob.receive() == "ada: 1");
  CHECK(bob.receive() == "ada: 2");
}

TEST_CASE("sockets are reached from requests by their ids", "[testing][websocket]") {
  std::string id;
  TestClient client([&id](App& app) {
    app.websocket("/s", {.open = [&id](WebSocket& socket, Request&) { id = socket.id(); }});
    app.post("/send/{id}", [](Request& request) -> Task<Response> {
      co_await request.sockets().send(request.param<std::string>("id"), "from elsewhere");
      co_return text("sent");
    });
    app.post("/close/{id}", [](Request& request) -> Task<Response> {
      co_await request.sockets().close(request.param<std::string>("id"), 4000, "out");
      co_return text("closed");
    });
  });
  TestSocket socket = client.websocket("/s");
  CHECK(id.size() == 24);
  CHECK(client.post("/send/" + id).body == "sent");
  CHECK(socket.receive() == "from elsewhere");
  CHECK(client.post("/close/" + id).body == "closed");
  CHECK(socket.closed().code == 4000);
}

TEST_CASE("the close handler has ended when close(), disconnect() and closed() return", "[testing][websocket]") {
  Texts closes;
  const auto note = [&closes](WebSocket&, CloseReason reason) -> Task<void> {
    const std::string what = std::to_string(reason.code) + " " + std::string(reason.text);
    co_await sleep_for(2ms);
    closes.push_back(what);
  };
  TestClient client([&note](App& app) {
    app.websocket("/s", {.message = [](WebSocket&) { throw std::runtime_error("a bug"); }, .close = note});
  });
  client.websocket("/s").close(3000, "bye");
  CHECK(closes == Texts{"3000 bye"});
  client.websocket("/s").close(1005);
  CHECK(closes.back() == "1005 ");
  client.websocket("/s").disconnect();
  CHECK(closes.back() == "1006 ");
  TestSocket failing = client.websocket("/s");
  failing.send("a");
  CHECK(failing.closed().code == 1011);
  CHECK(closes.back() == "1011 the handler of a message failed");
  CHECK(closes.size() == 4);
  failing.close();  // has ended
  failing.disconnect();
  CHECK(closes.size() == 4);
}

TEST_CASE("a socket that is destroyed leaves, at the latest with its client", "[testing][websocket]") {
  int closes = 0;
  {
    TestClient client([&closes](App& app) {
      app.websocket("/s", {.close = [&closes](WebSocket&) { ++closes; }});
      app.get("/", [](Request&) { return text("ok"); });
    });
    {
      const TestSocket gone = client.websocket("/s");
    }
    client.get("/");
    TestSocket moved = client.websocket("/s");
    moved = client.websocket("/s");
    const TestSocket kept = std::move(moved);
  }
  CHECK(closes == 3);
}

TEST_CASE("a handshake whose response nobody takes still runs the close handler", "[testing][websocket]") {
  int closes = 0;
  TestClient client([&closes](App& app) { app.websocket("/s", {.close = [&closes](WebSocket&) { ++closes; }}); });
  CHECK(client
            .get("/s", {{"Upgrade", "websocket"},
                        {"Connection", "Upgrade"},
                        {"Sec-WebSocket-Version", "13"},
                        {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}})
            .status == 101);
  CHECK(closes == 1);
}

TEST_CASE("waiting for a message that does not come ends with the client's timeout", "[testing][websocket]") {
  TestClient client([](App& app) { app.websocket("/s", {}); }, {.timeout = 20ms});
  TestSocket socket = client.websocket("/s");
  CHECK_THROWS_WITH(socket.receive(), "TestSocket: no message within 20 ms");
  CHECK_THROWS_WITH(socket.closed(), "TestSocket: the socket has not ended within 20 ms");
}

TEST_CASE("a message handler has the deadline of its route", "[testing][websocket]") {
  TestClient client([](App& app) {
    app.websocket("/s", {.message = [](WebSocket&) -> Task<void> { co_await sleep_for(10min); }}).deadline(1ms);
  });
  TestSocket socket = client.websocket("/s");
  socket.send("a");
  CHECK(socket.closed().code == 1011);
}

TEST_CASE("a socket has at most 64 topics", "[testing][websocket][redis]") {
  TestClient client(
      [](App& app) {
        app.websocket("/s", {.open =
                                 [](WebSocket& socket, Request&) {
                                   for (std::size_t i = 0; i < kMaxSocketTopics; ++i)
                                     socket.subscribe("t" + std::to_string(i));
                                   socket.subscribe("t1");  // again
                                   CHECK_THROWS_AS(socket.subscribe("more"), std::invalid_argument);
                                   socket.unsubscribe("t0");
                                   socket.subscribe("more");
                                   CHECK(socket.topics().size() == kMaxSocketTopics);
                                   CHECK(socket.topics().back() == "more");
                                   CHECK_THROWS_AS(socket.subscribe("x", {.member = std::string(257, 'm')}),
                                                   std::invalid_argument);
                                 },
                             .message = [](WebSocket& socket, Message message) -> Task<void> {
                               co_await socket.publish(std::string(message.text()),
                                                       "got " + std::string(message.text()));
                             }});
      },
      {.redis = "temporary"});
  TestSocket socket = client.websocket("/s");
  socket.send("t0");
  socket.send("t1");
  socket.send("more");
  CHECK(socket.receive() == "got t1");
  CHECK(socket.receive() == "got more");
}

TEST_CASE("events are what the route's `event` makes of them", "[testing][websocket][redis]") {
  TestClient client(
      [](App& app) {
        app.websocket("/s", {.open = [](WebSocket& socket, Request&) { socket.subscribe("t", {.history = 5}); },
                             .event = [](const Event& event) -> std::string {
                               if (event.payload == "secret") return {};
                               if (event.payload == "bug") throw std::runtime_error("a bug");
                               return "<" + std::string(event.payload) + ">";
                             }});
        app.post("/publish", [](Request& request) -> Task<Response> {
          const auto body = co_await request.body();
          co_await request.events().publish("t", std::string(body), {.history = 5});
          co_return text("ok");
        });
      },
      {.redis = "temporary"});
  TestSocket socket = client.websocket("/s");
  for (const char* payload : {"a", "secret", "bug", "b"}) CHECK(client.post("/publish", payload).status == 200);
  CHECK(socket.receive() == "<a>");
  CHECK(socket.receive() == "<b>");
}
