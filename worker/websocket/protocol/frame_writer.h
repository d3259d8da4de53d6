// Writes WebSocket frames (RFC 6455 section 5, RFC 7692).
#pragma once

#include <wslay/wslay.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "worker/websocket/protocol/deflate.h"
#include "worker/websocket/protocol/frame.h"

namespace pronghorn::worker {

// Appends frames to a text. All sockets of a worker share one: it keeps nothing of a socket. A frame that a server
// writes may be sent to any number of sockets with the same terms.
//
// Context: one thread. Errors: std::bad_alloc; std::invalid_argument for what must not be sent.
class FrameWriter {
 public:
  // Messages of fewer bytes are not compressed: there is nothing to gain.
  static constexpr std::size_t kSmallestCompressed = 64;

  explicit FrameWriter(WebSocketRole role = WebSocketRole::server);
  FrameWriter(const FrameWriter&) = delete;
  FrameWriter& operator=(const FrameWriter&) = delete;

  // A message in one frame. `text` must be UTF-8: browsers close the connection otherwise. It is not checked here. With
  // `terms` the message is compressed if that makes it smaller.
  void text(std::string& out, std::string_view text, std::optional<DeflateTerms> terms = std::nullopt);
  void binary(std::string& out, std::string_view bytes, std::optional<DeflateTerms> terms = std::nullopt);
  // At most 125 bytes.
  void ping(std::string& out, std::string_view payload = {});
  void pong(std::string& out, std::string_view payload = {});
  // `code`: a valid_close_code(), or kNoStatus for a frame without code and reason. The reason is cut at 123 bytes, but
  // not within a character, and at the first byte that is not UTF-8.
  void close(std::string& out, int code, std::string_view reason = {});

 private:
  struct FreeContext {
    void operator()(wslay_frame_context* context) const noexcept { wslay_frame_context_free(context); }
  };

  void message(std::string& out, Opcode opcode, std::string_view payload, std::optional<DeflateTerms> terms);
  void control(std::string& out, Opcode opcode, std::string_view payload);
  void frame(std::string& out, Opcode opcode, unsigned reserved, std::string_view payload);

  WebSocketRole role_;
  std::unique_ptr<wslay_frame_context, FreeContext> context_;
  std::string* out_ = nullptr;  // where wslay's output goes
  Deflater deflater_;
  std::string compressed_;
};

}  // namespace pronghorn::worker
