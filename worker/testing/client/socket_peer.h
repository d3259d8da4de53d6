// The client's end of one WebSocket of a TestClient, and the connection that serves it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "pronghorn/response.h"
#include "worker/connection/connection.h"
#include "worker/connection/http_context.h"
#include "worker/net/socket/peer.h"
#include "worker/testing/client/memory_stream.h"
#include "worker/websocket/connection.h"
#include "worker/websocket/protocol/frame.h"
#include "worker/websocket/protocol/frame_reader.h"
#include "worker/websocket/protocol/frame_writer.h"

namespace pronghorn::worker {

// Context:   loop thread; never from within a handler.
// Ownership: the TestWorker until it has ended, and the TestSocket. The context must outlive has_connection().
class SocketPeer final : private ConnectionOwner {
 public:
  struct Message {
    std::string payload;
    bool is_text;
  };

  // Begins to serve the socket. `compressed`: permessage-deflate was negotiated.
  SocketPeer(HttpContext& context, Peer peer, std::unique_ptr<pronghorn::detail::Upgrade> upgrade, bool compressed);

  // What the client does, in its next turn() in which the server reads. Sends nothing after close() and leave().
  void send(std::string_view payload, bool is_text);
  void close(std::uint16_t code, std::string_view reason);
  // Ends the connection, without a close frame unless close() was called.
  void leave() noexcept { leaves_ = true; }

  // The client's part of a turn of the loop: takes what the server has sent, answers pings and a close frame, and sends.
  // Handlers may run.
  void turn();

  // Ends the connection at once, without the close handler. Call turn() when the exchanges of this turn are destroyed.
  void abandon() noexcept;

  // What has arrived and was not received yet.
  [[nodiscard]] std::deque<Message>& messages() noexcept { return messages_; }
  // Whether no message will arrive any more.
  [[nodiscard]] bool closing() const noexcept { return ended_ || reader_.ended(); }
  // Whether the server has closed the connection. The close handler has ended.
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  [[nodiscard]] bool has_connection() const noexcept { return connection_ != nullptr; }
  // Whether it gets what is published to its topics from now on. Must not have ended.
  [[nodiscard]] bool knows_places() const noexcept { return connection_->socket().knows_places(); }
  // Of the server's close frame, or how else it ends.
  [[nodiscard]] std::uint16_t code() const noexcept { return code_; }
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

 private:
  void closed(Connection&) noexcept override { ended_ = true; }
  void upgraded() override {}
  void read(std::string_view bytes);

  FrameMemory memory_;
  FrameReader reader_;
  FrameWriter writer_{WebSocketRole::client};
  std::string unsent_;
  std::deque<Message> messages_;
  std::string reason_;
  std::uint16_t code_ = kCloseAbnormal;
  bool close_sent_ = false;
  bool leaves_ = false;    // nothing is sent after `unsent_` …
  bool finished_ = false;  // … which was said to the server
  bool ended_ = false;
  MemoryStream stream_;
  std::unique_ptr<SocketConnection> connection_;  // uses the stream; null: it has ended
};

}  // namespace pronghorn::worker
