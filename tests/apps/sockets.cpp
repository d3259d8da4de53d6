// WebSockets whose handlers wait, fail and crash when they are told to.
#include <pronghorn/pronghorn.h>
#include <pronghorn/timer.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <optional>
#include <stdexcept>
#include <string>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Task<void> enter(WebSocket& socket, Request& request) {
  if (request.query("refuse")) throw HttpError(403, "not you");
  Session session = co_await request.session();
  socket.attach(std::string(session.get("user").value_or("nobody")));
}

std::string told(std::string_view what, const Message& message) {
  return std::string(what) + " " + std::to_string(message.number());
}

// Answers what it is told to tell.
Task<void> obey(WebSocket& socket, Message message) {
  const std::string order(message.text());
  if (order == "id") socket.send(socket.id());
  if (order == "pid") socket.send(std::to_string(::getpid()));
  if (order == "attachment") socket.send(socket.attachment());
  if (order.starts_with("attach ")) socket.attach(order.substr(7));
  if (order == "crash") std::raise(SIGSEGV);
  if (order == "throw") throw std::runtime_error("as told");
  if (order == "close") socket.close(4001, "as told");
  if (order == "publish") {
    const std::string event = "event of " + std::to_string(message.number());
    co_await socket.publish("news", event, {.history = 100});
    if (message.again()) co_await socket.publish("news", "and one more", {.history = 100});
  }
  if (order == "wait" || order == "publish") {  // until the worker is killed
    socket.send(told(message.again() ? "again" : "begun", message));
    if (!message.again()) co_await sleep_for(1h);
  }
}

void send_back(WebSocket& socket, Message message) {
  message.is_text() ? socket.send(message.text()) : socket.send_binary(message.bytes());
}

// Counts sockets that have ended, by their reasons.
Task<void> count(WebSocket& socket, CloseReason reason) {
  co_await socket.worker().redis().command("INCR", "closed:" + std::to_string(reason.code));
}

Task<Response> log_in(Request& request) {
  Session session = co_await request.session();
  session.set("user", request.query("user").value_or("ada"));
  co_return no_content();
}

// Greets, and follows the news after ?after=.
void follow_news(WebSocket& socket, Request& request) {
  socket.send("welcome");
  const auto after = request.query<std::string>("after").value_or("");
  socket.subscribe("news", {.history = 100, .after = after});
}

void watch(WebSocket& socket, Request& request) {
  socket.subscribe("presence:room:" + request.param<std::string>("room"));
}

Task<Response> publish_news(Request& request) {
  co_await request.events().publish("news", std::string(co_await request.body()), {.history = 100});
  co_return no_content();
}

// ?times= publishes the body so often.
Task<Response> flood(Request& request) {
  const auto times = request.query<int>("times").value_or(1);
  const std::string body(co_await request.body());
  for (int i = 0; i < times; ++i) co_await request.events().publish("flood", body);
  co_return no_content();
}

Task<Response> send_to(Request& request) {
  const auto id = request.param<std::string>("id");
  const std::string body(co_await request.body());
  co_await request.sockets().send(id, body);
  co_return no_content();
}

Task<Response> close_one(Request& request) {
  const auto id = request.param<std::string>("id");
  co_await request.sockets().close(id, 4002, "from elsewhere");
  co_return no_content();
}

std::optional<Response> need_key(Request& request) {
  if (request.query("key")) return std::nullopt;
  return problem(401, "there is no key");
}

void mark(Request&, Response& response) { response.set("X-Marked", "yes"); }
void forbid(Request&, Response& response) { response.status(403).body("not here"); }

}  // namespace

PRONGHORN_APP(app) {
  app.websocket("/orders", {.open = enter, .message = obey, .close = count});
  app.websocket("/limited", {.message = obey}).limit(per_client(2, 24h));
  app.websocket("/guarded", {.message = obey}).use(need_key).use(mark).subprotocol("v2").subprotocol("v1");
  app.websocket("/forbidden", {.message = obey, .close = count}).use(forbid).subprotocol("v1");
  app.websocket("/impatient", {.message = obey}).deadline(200ms);
  app.websocket("/news", {.open = [](WebSocket& socket) { socket.subscribe("news", {.after = "0"}); }});
  app.websocket("/news/after", {.open = follow_news});
  app.websocket("/presence/{room}", {.open = watch});
  app.websocket("/refusing", {.open = [](WebSocket& socket) { socket.close(4001, "not you"); }});
  app.websocket("/plain", {.open = [](WebSocket& socket) { socket.subscribe("plain"); }, .message = obey});
  app.websocket("/echo", {.message = send_back}).max_message(16_MiB);
  const auto listen = [](WebSocket& socket) { socket.subscribe("flood"); };
  app.websocket("/flood", {.open = listen});
  app.websocket("/flood/long", {.open = listen}).max_queue(8_MiB);
  app.websocket("/flood/skip", {.open = listen}).max_queue(64_KiB, SlowSocket::skip);
  app.post("/news", publish_news);
  app.post("/flood", flood);
  app.post("/login", log_in);
  app.post("/send/{id}", send_to);
  app.del("/send/{id}", close_one);
}
