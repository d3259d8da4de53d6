#include "support/clients/websocket_client.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <stdexcept>

#include "worker/crypto/base64.h"
#include "worker/websocket/handshake/deflate_offer.h"
#include "worker/websocket/handshake/handshake.h"

namespace pronghorn::test {

namespace {

std::string random_key() {
  std::array<char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw std::runtime_error("no random bytes");
  }
  return worker::encode_base64({bytes.data(), bytes.size()}, worker::Base64::plain) + "==";
}

std::string host_of(const Address& address) {
  if (!address.unix_path.empty()) return "localhost";
  const bool is_ipv6 = address.host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

const char* name_of(WebSocketEvent::Kind kind) noexcept {
  using Kind = WebSocketEvent::Kind;
  switch (kind) {
    case Kind::text:
      return "text";
    case Kind::binary:
      return "binary";
    case Kind::ping:
      return "ping";
    case Kind::pong:
      return "pong";
    case Kind::close:
      return "close";
    case Kind::eof:
      return "eof";
    case Kind::failure:
      return "failure";
  }
  return "?";
}

WebSocketEvent::Kind kind_of(worker::FrameItem item) noexcept {
  using Kind = WebSocketEvent::Kind;
  switch (item) {
    case worker::FrameItem::text:
      return Kind::text;
    case worker::FrameItem::binary:
      return Kind::binary;
    case worker::FrameItem::ping:
      return Kind::ping;
    case worker::FrameItem::pong:
      return Kind::pong;
    case worker::FrameItem::close:
      return Kind::close;
    case worker::FrameItem::none:
    case worker::FrameItem::failure:
      break;
  }
  return Kind::failure;
}

}  // namespace

std::string WebSocketEvent::describe() const {
  std::string text = name_of(kind);
  if (kind == Kind::close) text += " " + std::to_string(code);
  return payload.empty() ? text : text + " " + payload;
}

WebSocketClient::WebSocketClient(const Address& address, std::string_view target, WebSocketOptions options)
    : connection_(address, options.timeout), options_(std::move(options)) {
  shake_hands(address, target);
  reader_.emplace(*memory_, worker::FrameRules{.role = worker::WebSocketRole::client,
                                               .deflate = deflate_.has_value(),
                                               .max_message = options_.max_message});
  input_ = connection_.read_until("");  // what came with the response
}

void WebSocketClient::shake_hands(const Address& address, std::string_view target) {
  const std::string key = random_key();
  std::string head = "GET " + std::string(target) + " HTTP/1.1\r\n";
  bool has_host = false;
  for (const auto& [name, value] : options_.headers) {
    head += name + ": " + value + "\r\n";
    has_host = has_host || name == "Host";
  }
  if (!has_host) head += "Host: " + host_of(address) + "\r\n";
  head +=
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n";
  const std::string offer = options_.offer.empty() ? std::string(worker::kDeflateOffer) : options_.offer;
  if (options_.compress) head += "Sec-WebSocket-Extensions: " + offer + "\r\n";
  connection_.send_raw(head + "\r\n");
  handshake_ = connection_.read_response();
  if (!open()) return;
  if (handshake_.header("Sec-WebSocket-Accept") != worker::websocket_accept_key(key)) {
    throw ClientError(Failure::malformed,
                      "Sec-WebSocket-Accept is \"" + handshake_.header("Sec-WebSocket-Accept") + "\"");
  }
  if (!handshake_.has("Sec-WebSocket-Extensions")) return;
  const std::string extensions = handshake_.header("Sec-WebSocket-Extensions");
  deflate_ = worker::read_deflate_answer(extensions);
  if (!options_.compress || !deflate_) {
    throw ClientError(Failure::malformed, "Sec-WebSocket-Extensions is \"" + extensions + "\"");
  }
}

bool WebSocketClient::send_text(std::string_view text) {
  std::string frame;
  writer_->text(frame, text, deflate_);
  return send_raw(frame);
}

bool WebSocketClient::send_binary(std::string_view bytes) {
  std::string frame;
  writer_->binary(frame, bytes, deflate_);
  return send_raw(frame);
}

bool WebSocketClient::send_ping(std::string_view payload) {
  std::string frame;
  writer_->ping(frame, payload);
  return send_raw(frame);
}

bool WebSocketClient::send_pong(std::string_view payload) {
  std::string frame;
  writer_->pong(frame, payload);
  return send_raw(frame);
}

bool WebSocketClient::send_close(int code, std::string_view reason) {
  std::string frame;
  writer_->close(frame, code, reason);
  return send_raw(frame);
}

bool WebSocketClient::send_raw(std::string_view bytes) { return connection_.send_raw(bytes); }

std::optional<WebSocketEvent> WebSocketClient::take_event() {
  const worker::FrameStep step = reader_->next(input_);
  input_.erase(0, step.consumed);
  if (step.item == worker::FrameItem::none) return std::nullopt;
  return WebSocketEvent{kind_of(step.item), std::string(step.payload), step.code};
}

bool WebSocketClient::read_more(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  if (!connection_.readable_within(std::max(left, std::chrono::milliseconds(0)))) {
    throw ClientError(Failure::timeout, "no WebSocket frame");
  }
  char bytes[16 * 1024];
  const ssize_t received = ::recv(connection_.fd(), bytes, sizeof bytes, 0);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (received <= 0) return false;
  input_.append(bytes, static_cast<std::size_t>(received));
  return true;
}

WebSocketEvent WebSocketClient::receive(std::chrono::milliseconds deadline) {
  const auto end = Clock::now() + deadline;
  while (!last_) {
    std::optional<WebSocketEvent> event = take_event();
    if (!event) {
      if (!read_more(end)) last_ = WebSocketEvent{Kind::eof};
    } else if (event->kind == Kind::failure) {
      last_ = std::move(event);
    } else if (event->kind == Kind::ping && options_.answer_pings) {
      send_pong(event->payload);
    } else {
      return *std::move(event);
    }
  }
  return *last_;
}

std::string WebSocketClient::receive_text(std::chrono::milliseconds deadline) {
  WebSocketEvent event = receive(deadline);
  if (event.kind != Kind::text) throw std::runtime_error("instead of a text came: " + event.describe());
  return std::move(event.payload);
}

bool WebSocketClient::silent_for(std::chrono::milliseconds duration) {
  try {
    static_cast<void>(receive(duration));
    return false;
  } catch (const ClientError& error) {
    if (error.failure() != Failure::timeout) throw;
    return true;
  }
}

WebSocketEvent WebSocketClient::close(int code, std::string_view reason, std::chrono::milliseconds deadline) {
  send_close(code, reason);
  while (true) {
    WebSocketEvent event = receive(deadline);
    if (event.kind == Kind::close || event.kind == Kind::eof || event.kind == Kind::failure) return event;
  }
}

}  // namespace pronghorn::test
