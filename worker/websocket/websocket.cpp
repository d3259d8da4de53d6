// The public classes of pronghorn/websocket.h.
#include "pronghorn/websocket.h"

#include <utility>

#include "worker/websocket/socket.h"
#include "worker/websocket/socket_service.h"

namespace pronghorn {
namespace {

worker::Socket& socket_of(detail::SocketState& state) noexcept { return static_cast<worker::Socket&>(state); }

worker::SocketService& service_of(detail::SocketService& service) noexcept {
  return static_cast<worker::SocketService&>(service);
}

}  // namespace

const std::string& WebSocket::id() const noexcept { return socket_of(*state_).record().id; }
std::string_view WebSocket::route() const noexcept { return socket_of(*state_).route().path; }
std::string_view WebSocket::subprotocol() const noexcept { return socket_of(*state_).record().subprotocol; }
const Request::Client& WebSocket::client() const noexcept { return socket_of(*state_).client(); }
Worker& WebSocket::worker() const noexcept { return socket_of(*state_).service().worker(); }

void WebSocket::attach(std::string bytes) { socket_of(*state_).attach(std::move(bytes)); }
const std::string& WebSocket::attachment() const noexcept { return socket_of(*state_).record().attachment; }

SocketRoom WebSocket::send(std::string_view text) {
  socket_of(*state_).send(text, true);
  return SocketRoom(*state_);
}

SocketRoom WebSocket::send_binary(std::string_view bytes) {
  socket_of(*state_).send(bytes, false);
  return SocketRoom(*state_);
}

void WebSocket::subscribe(std::string_view topic, const SubscribeOptions& options) {
  socket_of(*state_).subscribe(topic, options);
}
void WebSocket::unsubscribe(std::string_view topic) { socket_of(*state_).unsubscribe(topic); }
const std::vector<std::string>& WebSocket::topics() const noexcept { return socket_of(*state_).topics(); }

Task<Published> WebSocket::publish(std::string topic, std::string_view payload) {
  const std::uint32_t history = socket_of(*state_).history_of(topic);
  return publish(std::move(topic), payload, {.history = history});
}

Task<Published> WebSocket::publish(std::string topic, std::string_view payload, PublishOptions options) {
  return socket_of(*state_).publish(std::move(topic), payload, options);
}

void WebSocket::close(std::uint16_t code, std::string_view reason) { socket_of(*state_).close(code, reason); }
bool WebSocket::closing() const noexcept { return socket_of(*state_).closing(); }

SocketRoom::~SocketRoom() {
  if (socket_ != nullptr && waiting_) socket_of(*socket_).forget(*this);
}

bool SocketRoom::await_ready() const noexcept { return socket_ == nullptr || socket_of(*socket_).has_room(); }

void SocketRoom::await_suspend(std::coroutine_handle<> waiting) {
  waiting_ = waiting;
  socket_of(*socket_).wait_for_room(*this);
}

void SocketRoom::resume() { std::exchange(waiting_, {}).resume(); }

Sockets Worker::sockets() { return Sockets(socket_service()); }
Sockets Request::sockets() { return worker().sockets(); }

Task<void> Sockets::send(std::string id, std::string text) {
  return service_of(*service_).send(std::move(id), std::move(text));
}

Task<void> Sockets::close(std::string id, std::uint16_t code, std::string reason) {
  return service_of(*service_).close(std::move(id), code, std::move(reason));
}

}  // namespace pronghorn
