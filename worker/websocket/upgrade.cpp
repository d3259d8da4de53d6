#include "worker/websocket/upgrade.h"

#include <chrono>
#include <coroutine>
#include <string>
#include <utility>
#include <variant>

#include "pronghorn/concurrent.h"
#include "pronghorn/error.h"
#include "worker/crypto/random_hex.h"
#include "worker/exchange/exchange.h"
#include "worker/http/response_access.h"
#include "worker/websocket/handshake/handshake.h"
#include "worker/websocket/socket_service.h"

namespace pronghorn::worker {
namespace {

void add_fields(Response& response, const Handshake& handshake) {
  for (const Header& field : handshake.fields()) {
    // The connection writes its own.
    if (field.name != "Connection") response.append(field.name, field.value);
  }
}

// Ends when the socket is in its topics. Until then nobody else may wait for that.
class TopicsAwaiter {
 public:
  explicit TopicsAwaiter(Socket& socket) noexcept : socket_(socket) {}
  TopicsAwaiter(const TopicsAwaiter&) = delete;
  TopicsAwaiter& operator=(const TopicsAwaiter&) = delete;
  ~TopicsAwaiter() { socket_.wait_for_topics({}); }
  [[nodiscard]] bool await_ready() const noexcept { return socket_.knows_places(); }
  void await_suspend(std::coroutine_handle<> waiting) noexcept { socket_.wait_for_topics(waiting); }
  void await_resume() const noexcept {}

 private:
  Socket& socket_;
};

Task<void> wait_for_topics(Socket& socket) {
  TopicsAwaiter topics(socket);
  co_await topics;
}

// A client that has its answer misses nothing that is published from then on, by whomever: the answer waits for Redis,
// but not for long.
Task<void> enter_topics(Socket& socket) {
  constexpr std::chrono::seconds kLongest(1);
  socket.begin_topics();
  if (socket.knows_places()) co_return;
  Task<void> topics = wait_for_topics(socket);
  try {
    co_await with_deadline(kLongest, std::move(topics));
  } catch (const DeadlineExceeded&) {
    // Redis is away. The topics begin when it is back.
  }
}

// An error as any other, so that it passes on_error. (The connection adds Connection: Upgrade to a 426.)
HttpError refusal(const Handshake& handshake) {
  HttpError error(handshake.status, std::string(handshake.refusal));
  for (const Header& field : handshake.fields()) {
    if (field.name != "Connection") error.set(field.name, field.value);
  }
  return error;
}

}  // namespace

SocketUpgrade::~SocketUpgrade() {
  if (socket_ != nullptr) socket_->service().abandon(std::move(socket_));
}

Task<Response> upgrade_to_websocket(Request& request, const detail::SocketEntry& entry) {
  Exchange& exchange = request.exchange();
  auto& service = static_cast<SocketService&>(request.worker().socket_service());
  const Handshake handshake = answer_handshake(exchange.head, request.host(), request.scheme() == "https",
                                               {.protocols = entry.subprotocols,
                                                .origins = entry.origins,
                                                .any_origin = entry.any_origin,
                                                .compress = entry.compress});
  if (!handshake.accepted()) throw refusal(handshake);
  SocketRecord record;
  record.id = random_hex().substr(0, kSocketId);
  record.route = request.route();
  record.subprotocol = handshake.protocol;
  record.compressed = handshake.deflate.has_value();
  if (handshake.deflate) record.window_bits = handshake.deflate->window_bits;
  auto socket = std::make_unique<Socket>(service, service.route(entry), request.client(), std::move(record));
  const auto& open = entry.handlers.open.function();
  if (const auto* plain = std::get_if<0>(&open)) {
    if (*plain) (*plain)(socket->handle(), request);
  } else {
    co_await std::get<1>(open)(socket->handle(), request);
  }
  // From here on the close handler runs, also if the client leaves while this waits.
  auto upgrade = std::make_unique<SocketUpgrade>(std::move(socket));
  co_await enter_topics(upgrade->socket());
  Response response = ResponseAccess::from_upgrade(std::move(upgrade));
  add_fields(response, handshake);
  co_return response;
}

}  // namespace pronghorn::worker
