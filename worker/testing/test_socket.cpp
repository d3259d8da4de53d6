#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "pronghorn/testing.h"
#include "worker/testing/test_worker.h"

namespace pronghorn {
namespace {

worker::SocketPeer& peer_of(const detail::TestSocketState& state) {
  if (state.peer != nullptr) return *state.peer;
  throw std::runtime_error(fmt::format("TestSocket: the handshake was refused with status {}: {}",
                                       state.response.status, state.response.body));
}

std::string end_of(const worker::SocketPeer& peer) {
  const std::string reason = peer.reason().empty() ? "" : fmt::format(" ({})", peer.reason());
  return fmt::format("the server has closed the socket with {}{}", peer.code(), reason);
}

void wait_for_end(const detail::TestSocketState& state) {
  worker::SocketPeer& peer = peer_of(state);
  if (state.worker.wait_until([&peer] { return peer.ended(); })) return;
  throw std::runtime_error(
      fmt::format("TestSocket: the socket has not ended within {} ms", state.worker.timeout().count()));
}

void send_message(detail::TestSocketState& state, std::string_view payload, bool is_text) {
  worker::SocketPeer& peer = peer_of(state);
  state.worker.end_turn();
  if (peer.closing()) throw std::runtime_error("TestSocket: not sent: " + end_of(peer));
  peer.send(payload, is_text);
  state.worker.end_turn();
}

std::string receive_message(const detail::TestSocketState& state, bool as_text) {
  worker::SocketPeer& peer = peer_of(state);
  auto& messages = peer.messages();
  const bool in_time = state.worker.wait_until([&] { return !messages.empty() || peer.closing(); });
  if (messages.empty()) {
    if (in_time) throw std::runtime_error("TestSocket: no message: " + end_of(peer));
    throw std::runtime_error(fmt::format("TestSocket: no message within {} ms", state.worker.timeout().count()));
  }
  if (messages.front().is_text != as_text) {
    throw std::runtime_error(as_text ? "TestSocket: the next message is binary: use receive_binary()"
                                     : "TestSocket: the next message is text: use receive()");
  }
  std::string payload = std::move(messages.front().payload);
  messages.pop_front();
  return payload;
}

}  // namespace

TestSocket::TestSocket(std::unique_ptr<detail::TestSocketState> state) noexcept : state_(std::move(state)) {}
TestSocket::TestSocket(TestSocket&& other) noexcept = default;

TestSocket& TestSocket::operator=(TestSocket&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

// The handlers run when the client waits the next time.
TestSocket::~TestSocket() {
  if (state_ != nullptr && state_->peer != nullptr) state_->peer->leave();
}

const TestResponse& TestSocket::response() const noexcept { return state_->response; }

void TestSocket::send(std::string_view text) { send_message(*state_, text, true); }
void TestSocket::send_binary(std::string_view bytes) { send_message(*state_, bytes, false); }
std::string TestSocket::receive() { return receive_message(*state_, true); }
std::string TestSocket::receive_binary() { return receive_message(*state_, false); }

void TestSocket::close(std::uint16_t code, std::string_view reason) {
  peer_of(*state_).close(code, reason);
  wait_for_end(*state_);
}

void TestSocket::disconnect() {
  peer_of(*state_).leave();
  wait_for_end(*state_);
}

TestClose TestSocket::closed() {
  wait_for_end(*state_);
  const worker::SocketPeer& peer = peer_of(*state_);
  return {.code = peer.code(), .reason = peer.reason()};
}

}  // namespace pronghorn
