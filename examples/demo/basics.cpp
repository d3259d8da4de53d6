// Requests that are answered at once, a request whose body is echoed, and a WebSocket that echoes messages.
#include <pronghorn/json.h>
#include <pronghorn/websocket.h>

#include "demo.h"

namespace demo {

using namespace pronghorn;

namespace {

Response hello(Request&) { return text("Hello, World!"); }

Response message(Request&) { return json_response({{"message", "Hello, World!"}}); }

Response user(Request& request) {
  const auto id = request.param<std::int64_t>("id");  // 400 if it is not a number
  return json_response({{"id", id}});
}

Task<Response> echo(Request& request) {
  const std::string_view body = co_await request.body();
  co_return bytes(std::string(body), request.header("Content-Type").value_or("application/octet-stream"));
}

// Need not wait for the client: the server reads no further message of one that takes its answers too slowly.
void send_back(WebSocket& socket, Message message) {
  if (message.is_text()) {
    socket.send(message.text());
  } else {
    socket.send_binary(message.bytes());
  }
}

}  // namespace

void add_basic_routes(App& app) {
  app.get("/hello", hello);
  app.get("/json", message);
  app.get("/users/{id}", user);
  app.post("/echo", echo);
  app.websocket("/echo/socket", {.message = send_back}).max_message(1_MiB);
}

}  // namespace demo
