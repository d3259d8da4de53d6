// The part of a FrameReader that exists only while a frame or a message is incomplete.
//
// wslay splits the bytes into frames and unmasks them; it knows neither which opcodes and reserved bits are in use nor
// who has to mask, and it tells of a frame only when its payload begins. So heads are checked here, before wslay gets
// them. wslay also buffers whatever it is given; it is given one frame at a time, so that the bytes of the next frame
// stay with the connection and the object can serve another connection between two messages.
#pragma once

#include <wslay/wslay.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/text/utf8.h"
#include "pronghorn/close_codes.h"
#include "worker/websocket/protocol/deflate.h"
#include "worker/websocket/protocol/frame.h"
#include "worker/websocket/protocol/frame_head.h"

namespace pronghorn::worker {

// What a peer may send.
struct FrameRules {
  WebSocketRole role = WebSocketRole::server;  // this side's; the frames are those of the other side
  bool deflate = false;                        // permessage-deflate was negotiated
  std::uint32_t max_message = 1024 * 1024;     // bytes of a message's payload, also after decompression
};

enum class FrameItem : std::uint8_t {
  none,    // more bytes are needed
  text,    // a whole message, valid UTF-8
  binary,  // a whole message
  ping,
  pong,
  close,    // the peer closes: `code` and, as payload, its reason (valid UTF-8)
  failure,  // the peer broke a rule: close with `code` and, as payload, the reason
};

inline constexpr std::size_t kSmallFragment = 1024;  // bytes: clients that fragment for a reason send more at once

struct FrameStep {
  FrameItem item = FrameItem::none;
  std::uint16_t code = 0;  // of close (kCloseNoCode: it had none) and failure
  // Fragments that ended in this step and were not the last of their message, for limits on their rate: those without
  // payload, and others below kSmallFragment.
  std::uint32_t empty_fragments = 0;
  std::uint32_t small_fragments = 0;
  std::size_t consumed = 0;  // of the bytes that were given
  std::string_view payload = {};
};

class FrameAssembly {
 public:
  FrameAssembly();
  FrameAssembly(const FrameAssembly&) = delete;
  FrameAssembly& operator=(const FrameAssembly&) = delete;

  // See FrameReader::next(). After `close` and `failure` the object is of no use.
  [[nodiscard]] FrameStep read(std::string_view bytes, const FrameRules& rules, Inflater& inflater);

  // Whether a frame or a message is incomplete.
  [[nodiscard]] bool begun() const noexcept { return have_ != 0 || message_ != Opcode::continuation; }
  // Forgets the message that read() returned last, and frees its memory if it is large.
  void clean();

 private:
  struct FreeContext {
    void operator()(wslay_frame_context* context) const noexcept { wslay_frame_context_free(context); }
  };

  void fail(std::uint16_t code, std::string_view reason) noexcept;
  void take_head() noexcept;
  void check_start(const FrameHead& head) noexcept;
  void check_length(const FrameHead& head) noexcept;
  [[nodiscard]] ssize_t feed(std::uint8_t* to, std::size_t room) noexcept;
  void take_payload(std::string_view piece);
  void end_frame(std::string_view last_piece);
  void end_control(std::string_view payload);
  void end_message(std::string_view last_piece);
  void count_fragment() noexcept;
  [[nodiscard]] std::string_view decompress(std::string_view payload);

  std::unique_ptr<wslay_frame_context, FreeContext> context_;
  // Of the current call of read().
  const FrameRules* rules_ = nullptr;
  Inflater* inflater_ = nullptr;
  std::string_view input_;
  FrameStep step_;
  // Of the current frame.
  std::array<char, kMaxFrameHead> head_bytes_;
  std::uint8_t have_ = 0;       // of head_bytes_; 0: no frame has begun
  bool head_complete_ = false;  // and given to wslay
  FrameHead head_{};
  std::uint64_t payload_left_ = 0;  // not yet given to wslay
  // A control frame may come between the frames of a message, so it has a buffer of its own.
  std::array<char, kMaxControlPayload> control_;
  std::uint8_t control_size_ = 0;
  // Of the current message.
  Opcode message_ = Opcode::continuation;  // text, binary; continuation: none has begun
  bool compressed_ = false;
  Utf8Stream utf8_;      // complete() between two messages
  std::string payload_;  // of its frames so far, as they came
  std::string inflated_;
  bool returned_ = false;  // payload_ or inflated_ is what the last step returned
};

}  // namespace pronghorn::worker
