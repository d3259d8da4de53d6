// A blocking WebSocket client that can also send malformed frames.
//
// Context: any thread, but one object in one thread at a time. Every wait has a deadline.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "support/clients/http_client.h"
#include "worker/websocket/protocol/frame_reader.h"
#include "worker/websocket/protocol/frame_writer.h"

namespace pronghorn::test {

struct WebSocketOptions {
  Headers headers = {};                       // beside those of the handshake: Origin, Cookie, Sec-WebSocket-Protocol …
  bool compress = false;                      // offers permessage-deflate
  std::string offer = {};                     // in place of the usual offer of that
  bool answer_pings = true;                   // receive() answers pings instead of returning them
  std::uint32_t max_message = 64 << 20;       // bytes
  std::chrono::milliseconds timeout{20'000};  // of the handshake and of sending
};

struct WebSocketEvent {
  enum class Kind {
    text,
    binary,
    ping,
    pong,
    close,    // the server's close frame: `code` (1005: it had none) and, as payload, its reason
    eof,      // the connection has ended
    failure,  // the server broke the protocol; as payload, how
  };
  Kind kind = Kind::eof;
  std::string payload = {};
  int code = 0;

  [[nodiscard]] std::string describe() const;  // "text hello", "close 1001 going away", "eof"
};

class WebSocketClient {
 public:
  using Kind = WebSocketEvent::Kind;

  // Connects and shakes hands. Throws ClientError if the server cannot be reached, does not answer, or answers 101 with
  // fields that a client must not accept. If it refuses the handshake, open() is false and handshake() has its response.
  WebSocketClient(const Address& address, std::string_view target, WebSocketOptions options = {});

  [[nodiscard]] bool open() const noexcept { return handshake_.status == 101; }
  [[nodiscard]] const HttpResponse& handshake() const noexcept { return handshake_; }
  [[nodiscard]] bool compresses() const noexcept { return deflate_.has_value(); }

  // All return false if the server has closed or reset the connection.
  bool send_text(std::string_view text);
  bool send_binary(std::string_view bytes);
  bool send_ping(std::string_view payload = {});
  bool send_pong(std::string_view payload = {});
  bool send_close(int code = 1000, std::string_view reason = {});
  bool send_raw(std::string_view bytes);

  // The next event. Throws ClientError (timeout) if none comes in time. After eof and failure it returns the same again.
  [[nodiscard]] WebSocketEvent receive(std::chrono::milliseconds deadline = std::chrono::seconds(30));
  // The next message. Throws std::runtime_error with what came instead.
  [[nodiscard]] std::string receive_text(std::chrono::milliseconds deadline = std::chrono::seconds(30));
  // Whether nothing comes within `duration`. Waits for all of it, so use it sparingly.
  [[nodiscard]] bool silent_for(std::chrono::milliseconds duration);
  // Sends a close frame and skips what the server sent before it answered. Returns its close frame, or eof.
  WebSocketEvent close(int code = 1000, std::string_view reason = {},
                       std::chrono::milliseconds deadline = std::chrono::seconds(30));
  // Closes with a reset, as a client does that crashes.
  void abort() { connection_.abort(); }
  // For finish_sending(), closed_within(), fd() and the like.
  [[nodiscard]] HttpConnection& connection() noexcept { return connection_; }

 private:
  void shake_hands(const Address& address, std::string_view target);
  // An event of the bytes that have come.
  [[nodiscard]] std::optional<WebSocketEvent> take_event();
  // False at the end of the connection.
  bool read_more(Clock::time_point deadline);

  HttpConnection connection_;
  WebSocketOptions options_;
  HttpResponse handshake_;
  std::optional<worker::DeflateTerms> deflate_;
  std::unique_ptr<worker::FrameMemory> memory_ = std::make_unique<worker::FrameMemory>();
  std::unique_ptr<worker::FrameWriter> writer_ = std::make_unique<worker::FrameWriter>(worker::WebSocketRole::client);
  std::optional<worker::FrameReader> reader_;
  std::string input_;
  std::optional<WebSocketEvent> last_;  // eof or failure
};

}  // namespace pronghorn::test
