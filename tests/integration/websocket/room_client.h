// Clients of the demo's rooms, and of other WebSocket routes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "support/clients/websocket_client.h"

namespace pronghorn::test {

inline constexpr std::size_t kMiB = 1 << 20;
inline constexpr const char* kKey = "dGhlIHNhbXBsZSBub25jZQ==";

// What the server answers to a handshake.
inline HttpResponse handshake(const Address& address, std::string_view target, Headers headers = {}) {
  return WebSocketClient(address, target, {.headers = std::move(headers)}).handshake();
}
inline int handshake_status(const Address& address, std::string_view target, Headers headers = {}) {
  return handshake(address, target, std::move(headers)).status;
}

// The code with which the server closes; skips messages. 1006: the connection has ended without a close frame.
inline int close_code(WebSocketClient& client) {
  for (;;) {
    const WebSocketEvent event = client.receive();
    if (event.kind == WebSocketEvent::Kind::close) {
      client.send_close(event.code == 1005 ? 1000 : event.code);
      return event.code;
    }
    if (event.kind == WebSocketEvent::Kind::eof) return 1006;
    if (event.kind == WebSocketEvent::Kind::failure) throw std::runtime_error(event.describe());
  }
}

// One client in a room of the demo. The functions that wait throw ClientError (timeout) after half a minute.
class RoomClient {
 public:
  RoomClient(const Address& address, const std::string& room, const std::string& query = "")
      : client_(address, "/rooms/" + room + query) {
    if (!client_.open()) throw std::runtime_error("the handshake was answered " + client_.handshake().body);
  }

  void say(std::string_view text) { client_.send_text(text); }
  void send_binary(std::string_view bytes) { client_.send_binary(bytes); }
  void close() { client_.close(); }

  // Reads until the condition is true. False if the socket is closed first.
  template <class Condition>
  bool wait(Condition condition) {
    while (!condition()) {
      if (closed) return false;
      take(client_.receive());
    }
    return true;
  }
  // What has arrived.
  void read() {
    try {
      while (!closed) take(client_.receive(std::chrono::milliseconds(20)));
    } catch (const ClientError& error) {
      if (error.failure() != Failure::timeout) throw;
    }
  }
  bool wait_for(const std::string& text) {
    return wait(
        [&] { return std::ranges::any_of(said, [&](const auto& message) { return message["text"] == text; }); });
  }
  bool wait_closed() {
    return wait([&] { return closed; });
  }
  [[nodiscard]] std::vector<std::string> texts() const {
    std::vector<std::string> all;
    for (const nlohmann::json& message : said) all.push_back(message.at("text").get<std::string>());
    return all;
  }

  std::vector<nlohmann::json> said;  // without gaps
  int gaps = 0;
  int errors = 0;
  bool closed = false;
  int close_code = 0;

 private:
  void take(const WebSocketEvent& event) {
    using Kind = WebSocketEvent::Kind;
    if (event.kind == Kind::text) {
      nlohmann::json message = nlohmann::json::parse(event.payload);
      if (message.contains("gap")) {
        ++gaps;
      } else if (message.contains("error")) {
        ++errors;
      } else if (message.contains("text")) {
        said.push_back(std::move(message));
      } else {
        throw std::runtime_error(event.payload);
      }
    } else if (event.kind == Kind::close || event.kind == Kind::eof) {
      closed = true;
      close_code = event.kind == Kind::eof ? 1006 : event.code;
    } else {
      throw std::runtime_error(event.describe());
    }
  }

  WebSocketClient client_;
};

}  // namespace pronghorn::test
