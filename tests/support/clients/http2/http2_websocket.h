// A WebSocket client in a stream of an Http2Socket (RFC 8441).
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "support/clients/http2/http2_socket.h"
#include "support/clients/websocket_client.h"
#include "worker/websocket/protocol/frame_reader.h"
#include "worker/websocket/protocol/frame_writer.h"

namespace pronghorn::test {

// Several may use one Http2Socket, in one thread.
class Http2WebSocket {
 public:
  // Sends an extended CONNECT and waits for the answer, for which it waits no longer than the socket does.
  Http2WebSocket(Http2Socket& socket, const std::string& path, const Http2Fields& more = {}) : socket_(socket) {
    // Before the server's SETTINGS have arrived, a client may not send one.
    socket.run_until([&] { return socket.client().settings().contains(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL); });
    Http2Fields fields{{":method", "CONNECT"}, {":protocol", "websocket"},     {":scheme", "http"}, {":authority", "a"},
                       {":path", path},        {"sec-websocket-version", "13"}};
    fields.insert(fields.end(), more.begin(), more.end());
    stream_ = socket.client().raw_request(fields, {}, true);
    socket.run_until([&] { return answer().status != 0 || answer().closed; });
  }

  [[nodiscard]] const Http2Answer& answer() { return socket_.client().answer(stream_); }
  [[nodiscard]] std::int32_t stream() const noexcept { return stream_; }

  void send_text(std::string_view text) {
    std::string out;
    writer_.text(out, text, std::nullopt);
    send_raw(out);
  }
  void send_close(int code) {
    std::string out;
    writer_.close(out, code, {});
    send_raw(out);
  }
  void send_raw(std::string_view bytes) { socket_.client().send_body(stream_, bytes, false); }
  void finish() { socket_.client().send_body(stream_, {}, true); }

  // The next event; pings are answered. eof: the stream or the connection has ended. Throws std::runtime_error if
  // nothing comes in time.
  [[nodiscard]] WebSocketEvent receive() {
    std::optional<WebSocketEvent> event;
    const bool came = socket_.run_until(
        [&] {
          event = take_event();
          return event.has_value();
        },
        std::chrono::seconds(30));
    if (came) return *event;
    if (socket_.ended()) return {};
    throw std::runtime_error("nothing was received over HTTP/2");
  }
  // The next message. Throws std::runtime_error with what came instead.
  [[nodiscard]] std::string receive_text() {
    const WebSocketEvent event = receive();
    if (event.kind == WebSocketEvent::Kind::text) return event.payload;
    throw std::runtime_error("received in place of a text: " + event.describe());
  }

 private:
  [[nodiscard]] std::optional<WebSocketEvent> take_event() {
    using Kind = WebSocketEvent::Kind;
    for (;;) {
      const worker::FrameStep step = reader_.next(std::string_view(answer().body).substr(read_));
      read_ += step.consumed;
      const std::string payload(step.payload);
      switch (step.item) {
        case worker::FrameItem::text:
          return WebSocketEvent{Kind::text, payload};
        case worker::FrameItem::binary:
          return WebSocketEvent{Kind::binary, payload};
        case worker::FrameItem::close:
          return WebSocketEvent{Kind::close, payload, step.code};
        case worker::FrameItem::failure:
          return WebSocketEvent{Kind::failure, payload};
        case worker::FrameItem::ping: {
          std::string out;
          writer_.pong(out, payload);
          send_raw(out);
          break;
        }
        case worker::FrameItem::pong:
          break;
        case worker::FrameItem::none:
          if (answer().complete || answer().closed) return WebSocketEvent{};
          return std::nullopt;
      }
    }
  }

  Http2Socket& socket_;
  std::int32_t stream_ = 0;
  std::size_t read_ = 0;
  worker::FrameMemory memory_;
  worker::FrameReader reader_{memory_,
                              {.role = worker::WebSocketRole::client, .deflate = true, .max_message = 64 << 20}};
  worker::FrameWriter writer_{worker::WebSocketRole::client};
};

}  // namespace pronghorn::test
