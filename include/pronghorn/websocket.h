// WebSockets (RFC 6455): connections on which both sides send messages at any time.
//
//   app.websocket("/rooms/{room}", {
//       .open = [](WebSocket& socket, Request& request) -> Task<void> {
//         socket.attach(std::string((co_await request.session()).get("user").value_or("guest")));
//         socket.subscribe("room:" + request.param<std::string>("room"), {.history = 50});
//       },
//       .message = [](WebSocket& socket, Message message) -> Task<void> {
//         co_await socket.publish(socket.topics().front(), message.text());    // to every worker, on every machine
//       },
//   });
//
// A socket is more than a connection: it continues on another worker when its own is killed, replaced or scaled away,
// and its client notices nothing. What moves with it is its id, its attachment, its topics and its place in each of
// them. Nothing else moves: do not keep a pointer to a WebSocket, nor its state in the worker. See
// docs/app/websocket.md.
//
// Context: the worker's loop thread. A socket's handlers run one at a time: a message is given to the application when
//          the handler of the one before has ended.
#pragma once

#include <chrono>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "pronghorn/app.h"
#include "pronghorn/close_codes.h"
#include "pronghorn/detail/callable.h"
#include "pronghorn/detail/export.h"
#include "pronghorn/handler.h"
#include "pronghorn/request.h"
#include "pronghorn/task.h"
#include "pronghorn/topics.h"
#include "pronghorn/worker.h"

namespace pronghorn {

namespace detail {
class SocketState;    // one socket
class SocketService;  // a worker's sockets
struct SocketEntry;   // what app.websocket() was given
}  // namespace detail

inline constexpr std::size_t kMaxSocketAttachment = 4096;  // bytes
inline constexpr std::size_t kMaxSocketTopics = 64;        // of one socket

// A message as its handler gets it. The views are valid until the handler has ended.
class Message {
 public:
  Message(std::string_view bytes, bool is_text, std::uint64_t number, bool again) noexcept  // for the server
      : bytes_(bytes), number_(number), is_text_(is_text), again_(again) {}

  // The content of a message of either kind. Text is valid UTF-8.
  [[nodiscard]] std::string_view text() const noexcept { return bytes_; }
  [[nodiscard]] std::string_view bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool is_text() const noexcept { return is_text_; }
  // Names the message within its socket, and grows with each. The same when it is handled again.
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  // Whether a worker was killed while it handled this message, so some of the work may have been done.
  [[nodiscard]] bool again() const noexcept { return again_; }

 private:
  std::string_view bytes_;
  std::uint64_t number_;
  bool is_text_;
  bool again_;
};

// Why a socket has ended. The view is valid until the handler has ended.
struct CloseReason {
  std::uint16_t code = kCloseAbnormal;  // of the client's close, or of the server's if that came first
  std::string_view text = {};           // UTF-8, at most 123 bytes
};

struct SubscribeOptions {
  // How many of the topic's latest events publish() of this socket lets Redis keep: see PublishOptions. With a history
  // a socket misses nothing while it moves, or while Redis is away.
  std::uint32_t history = 0;
  // Continues after this event, whose id the client has seen: Event::id, or only the decimal offset in it, of the
  // history that the topic has now. "0": from the first event that is kept. Empty: from the next event on.
  std::string_view after = {};
  // Counts and lists the socket as present in the topic: see pronghorn/presence.h. `member` is what the list shows
  // beside its id, at most 256 bytes.
  bool presence = false;
  std::string_view member = {};
};

// What WebSocket::send() yields. Await it to wait until the client has taken enough: while more than 64 KiB are queued.
// It never throws, and also ends when the socket is closing. It need not be awaited.
class PRONGHORN_API SocketRoom {
 public:
  explicit SocketRoom(detail::SocketState& socket) noexcept : socket_(&socket) {}  // for the server
  SocketRoom(const SocketRoom&) = delete;
  SocketRoom& operator=(const SocketRoom&) = delete;
  ~SocketRoom();
  [[nodiscard]] bool await_ready() const noexcept;
  void await_suspend(std::coroutine_handle<> waiting);
  void await_resume() const noexcept {}
  void resume();                                 // for the server
  void detach() noexcept { socket_ = nullptr; }  // the same

 private:
  detail::SocketState* socket_;  // null: it has ended
  std::coroutine_handle<> waiting_;
};

// One socket in the worker that has it now. Valid until its handler has ended; do not keep it.
class PRONGHORN_API WebSocket {
 public:
  explicit WebSocket(detail::SocketState& state) noexcept : state_(&state) {}  // for the server
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  // 24 hex digits: names the socket over all workers and machines for as long as it lives.
  [[nodiscard]] const std::string& id() const noexcept;
  [[nodiscard]] std::string_view route() const noexcept;        // "/rooms/{room}"
  [[nodiscard]] std::string_view subprotocol() const noexcept;  // as negotiated; empty: none
  [[nodiscard]] const Request::Client& client() const noexcept;
  [[nodiscard]] Worker& worker() const noexcept;
  template <class T>
  [[nodiscard]] T& state() const {
    return worker().state<T>();
  }

  // Keeps `bytes` with the socket, replacing what was kept before. Throws std::invalid_argument above
  // kMaxSocketAttachment. For JSON: attach(value.dump()).
  void attach(std::string bytes);
  [[nodiscard]] const std::string& attachment() const noexcept;

  // Sends a message to the client, no later than the end of this turn of the loop. Text must be valid UTF-8, or
  // std::invalid_argument is thrown. Does nothing once the socket is closing. In `open` the client gets it after the
  // handshake. Above the route's max_queue the socket is closed.
  SocketRoom send(std::string_view text);
  SocketRoom send_binary(std::string_view bytes);

  // Sends the client what is published to the topic from now on, as the route's `event` function makes it. In `open`,
  // the handshake is answered once the subscription has begun, or after a second if Redis is down. Subscribing again
  // changes only the options. Throws std::invalid_argument for an invalid topic or above kMaxSocketTopics,
  // std::logic_error with --redis none.
  void subscribe(std::string_view topic, const SubscribeOptions& options = {});
  void unsubscribe(std::string_view topic);
  // In the order of subscribe(). Valid until that changes.
  [[nodiscard]] const std::vector<std::string>& topics() const noexcept;
  // Publishes to a topic, as Events::publish() does, with the history that this socket has subscribed to it with. What
  // a message's handler publishes to a topic with a history is published once, even if the message is handled again:
  // the same calls, in the same order, publish nothing the second time.
  [[nodiscard]] Task<Published> publish(std::string topic, std::string_view payload);
  [[nodiscard]] Task<Published> publish(std::string topic, std::string_view payload, PublishOptions options);

  // Ends the socket: sends a close frame and waits a moment for the client's. Messages that arrive from now on are
  // dropped. `code` is 1000, 1001, 1003, 1007 to 1014 or 3000 to 4999, `reason` UTF-8 of at most 123 bytes; else
  // std::invalid_argument is thrown. Only the first call counts.
  void close(std::uint16_t code = kCloseNormal, std::string_view reason = {});
  [[nodiscard]] bool closing() const noexcept;

 private:
  detail::SocketState* state_;
};

namespace detail {

// A handler of sockets: void or Task<void>, of all Args or of the WebSocket& alone.
template <class... Args>
class SocketFunction {
 public:
  using Plain = std::function<void(WebSocket&, Args...)>;
  using Coroutine = std::function<Task<void>(WebSocket&, Args...)>;

  SocketFunction() = default;
  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, SocketFunction>)
  SocketFunction(F&& function)  // NOLINT(google-explicit-constructor): {.message = [](…) {…}}
      : function_(wrap(std::decay_t<F>(std::forward<F>(function)))) {}

  [[nodiscard]] const std::variant<Plain, Coroutine>& function() const noexcept { return function_; }
  [[nodiscard]] bool empty() const noexcept {
    return std::visit([](const auto& function) { return !function; }, function_);
  }

 private:
  template <class F>
  static std::variant<Plain, Coroutine> wrap(F function) {
    static_assert(check_kept_callable<F>());
    if (is_empty_callable(function)) return {};
    if constexpr (Returns<F, Task<void>, WebSocket&, Args...>) {
      return Coroutine(std::move(function));
    } else if constexpr (Returns<F, void, WebSocket&, Args...>) {
      return Plain(std::move(function));
    } else if constexpr (Returns<F, Task<void>, WebSocket&>) {
      return Coroutine(
          [function = std::move(function)](WebSocket& socket, Args...) mutable { return function(socket); });
    } else if constexpr (Returns<F, void, WebSocket&>) {
      return Plain([function = std::move(function)](WebSocket& socket, Args...) mutable { function(socket); });
    } else {
      static_assert(kNever<F>,
                    "a handler of sockets returns void or Task<void>: open takes (WebSocket&, Request&), message "
                    "(WebSocket&, Message), close (WebSocket&, CloseReason), or each only (WebSocket&)");
      return {};
    }
  }

  std::variant<Plain, Coroutine> function_;
};

}  // namespace detail

// What app.websocket() takes. Each may be left out.
struct WebSocketHandlers {
  // Before the handshake is answered, so what it throws is the response: HttpError(403) refuses the client. Runs after
  // the route's limits and middleware. If its worker is killed meanwhile, it runs again.
  detail::SocketFunction<Request&> open = {};
  // For each message. If it throws, that is logged and the socket closed with kCloseError. If its worker is killed
  // meanwhile, another one runs it again (Message::again); if it crashes its worker, the socket is closed with
  // kCloseError. A handler that runs longer than the route's deadline() is destroyed, and the socket closed.
  detail::SocketFunction<Message> message = {};
  // Once, when the client is really gone, or the socket was closed; not when it moves to another worker. Not after an
  // `open` that threw. What it sends is dropped.
  detail::SocketFunction<CloseReason> close = {};
  // The message that subscribers of this route get for an event of a topic. Called once per event and worker, not per
  // socket; an empty string: none. Without it they get the payload.
  std::function<std::string(const Event&)> event = {};
};

// What becomes of a socket whose client reads more slowly than its topics publish, once max_queue() bytes wait.
enum class SlowSocket : std::uint8_t {
  close,  // the socket is closed
  skip,   // events are skipped, and counted, until there is room again
};

// The options of a socket's route.
class PRONGHORN_API WebSocketRoute : public Route {
 public:
  WebSocketRoute(Route route, detail::SocketEntry& entry) noexcept : Route(route), entry_(&entry) {}  // for App

  // As those of Route. They apply to the handshake; the deadline also to each message.
  WebSocketRoute limit(Limit limit) { return Route::limit(std::move(limit)), *this; }
  WebSocketRoute deadline(std::chrono::milliseconds limit) { return Route::deadline(limit), *this; }
  WebSocketRoute priority(Priority priority) { return Route::priority(priority), *this; }
  WebSocketRoute name(std::string_view name) { return Route::name(name), *this; }
  WebSocketRoute use(Middleware middleware) { return Route::use(std::move(middleware)), *this; }

  // Also accepts handshakes of pages from this origin ("https://shop.example"; "*": from any). Always accepted are
  // pages of the server's own host and clients that send no Origin, because they are not browsers. Others get 403.
  // Throws std::invalid_argument if it is not SCHEME://HOST[:PORT].
  WebSocketRoute origin(std::string_view origin);
  // Speaks this subprotocol; the first call is the one preferred. Throws std::invalid_argument if it is not a token.
  WebSocketRoute subprotocol(std::string_view name);
  // The largest message of a client, inflated, in bytes; a larger one closes the socket with kCloseTooBig. Default:
  // 1 MiB. Throws std::invalid_argument below 125 bytes and above 1 GiB.
  WebSocketRoute max_message(std::size_t bytes);
  // Messages that a client may send per second, on average over ten seconds; more close the socket with kClosePolicy.
  // Fragments of less than 1 KiB count as messages. Default: no limit, because a client is not read from faster than
  // its messages are handled.
  WebSocketRoute max_rate(std::uint32_t per_second);
  // Bytes that may wait for the client, and what happens above. Default: 1 MiB, close. Throws std::invalid_argument
  // below 64 KiB.
  WebSocketRoute max_queue(std::size_t bytes, SlowSocket slow = SlowSocket::close);
  // Whether to compress messages for clients that can inflate them (RFC 7692). Default: yes.
  WebSocketRoute compress(bool on);

 private:
  detail::SocketEntry* entry_;
};

// All sockets, by their ids: from request.sockets() or worker.sockets(). Cheap to copy, valid for the life of the
// worker.
class PRONGHORN_API Sockets {
 public:
  explicit Sockets(detail::SocketService& service) noexcept : service_(&service) {}  // for the server

  // Sends to the socket with this id, on whatever worker or machine it is: at most once. It is lost if there is no such
  // socket or if it is just moving to another worker; for what must not be lost, publish to a topic with a history.
  // Text must be valid UTF-8, or std::invalid_argument is thrown. Throws RedisUnavailable if the socket is not in this
  // worker and Redis is down.
  [[nodiscard]] Task<void> send(std::string id, std::string text);
  // The arguments are those of WebSocket::close().
  [[nodiscard]] Task<void> close(std::string id, std::uint16_t code = kCloseNormal, std::string reason = {});

 private:
  detail::SocketService* service_;
};

}  // namespace pronghorn
