#include "worker/websocket/protocol/frame_writer.h"

#include <sys/random.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <stdexcept>

#include "common/text/utf8.h"
#include "pronghorn/close_codes.h"
#include "worker/websocket/protocol/frame_head.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kKeptCapacity = 64 * 1024;  // bytes of the buffer that is kept for the next message

// The part of a reason that a close frame can carry.
std::string_view cut_reason(std::string_view reason) noexcept {
  std::size_t size = 0;
  while (const std::size_t character = utf8_sequence(reason.substr(size))) {
    if (size + character > kMaxCloseReason) break;
    size += character;
  }
  return reason.substr(0, size);
}

}  // namespace

FrameWriter::FrameWriter(WebSocketRole role) : role_(role) {
  wslay_frame_callbacks callbacks{};
  callbacks.send_callback = [](const std::uint8_t* bytes, std::size_t size, int, void* self) noexcept {
    static_cast<FrameWriter*>(self)->out_->append(reinterpret_cast<const char*>(bytes), size);  // frame() made room
    return static_cast<ssize_t>(size);
  };
  callbacks.genmask_callback = [](std::uint8_t* key, std::size_t size, void*) noexcept {
    return ::getrandom(key, size, 0) == static_cast<ssize_t>(size) ? 0 : -1;
  };
  wslay_frame_context* context = nullptr;
  if (wslay_frame_context_init(&context, &callbacks, this) != 0) throw std::bad_alloc();
  context_.reset(context);
}

void FrameWriter::text(std::string& out, std::string_view text, std::optional<DeflateTerms> terms) {
  message(out, Opcode::text, text, terms);
}

void FrameWriter::binary(std::string& out, std::string_view bytes, std::optional<DeflateTerms> terms) {
  message(out, Opcode::binary, bytes, terms);
}

void FrameWriter::ping(std::string& out, std::string_view payload) { control(out, Opcode::ping, payload); }

void FrameWriter::pong(std::string& out, std::string_view payload) { control(out, Opcode::pong, payload); }

void FrameWriter::close(std::string& out, int code, std::string_view reason) {
  if (code == kCloseNoCode) return control(out, Opcode::close, {});
  if (!valid_close_code(code))
    throw std::invalid_argument("a close frame must not have the code " + std::to_string(code));
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 255)};
  payload += cut_reason(reason);
  control(out, Opcode::close, payload);
}

void FrameWriter::message(std::string& out, Opcode opcode, std::string_view payload,
                          std::optional<DeflateTerms> terms) {
  if (terms && payload.size() >= kSmallestCompressed && payload.size() <= Deflater::kLargestMessage) {
    compressed_.clear();
    deflater_.deflate(payload, *terms, compressed_);
    const bool smaller = compressed_.size() < payload.size();
    if (smaller) frame(out, opcode, kCompressedBit, compressed_);
    if (compressed_.capacity() > kKeptCapacity) std::string().swap(compressed_);
    if (smaller) return;
  }
  frame(out, opcode, 0, payload);
}

void FrameWriter::control(std::string& out, Opcode opcode, std::string_view payload) {
  if (payload.size() > kMaxControlPayload) throw std::invalid_argument("a control frame holds at most 125 bytes");
  frame(out, opcode, 0, payload);
}

void FrameWriter::frame(std::string& out, Opcode opcode, unsigned reserved, std::string_view payload) {
  const std::size_t needed = out.size() + kMaxFrameHead + payload.size();
  if (out.capacity() < needed) out.reserve(std::max(needed, out.capacity() * 2));
  out_ = &out;
  wslay_frame_iocb frame{};
  frame.fin = 1;
  frame.rsv = static_cast<std::uint8_t>(reserved);
  frame.opcode = static_cast<std::uint8_t>(opcode);
  frame.mask = role_ == WebSocketRole::client ? 1 : 0;
  frame.payload_length = payload.size();
  frame.data = reinterpret_cast<const std::uint8_t*>(payload.data());
  frame.data_length = payload.size();
  if (wslay_frame_send(context_.get(), &frame) != static_cast<ssize_t>(payload.size())) {
    throw std::runtime_error("wslay cannot write a frame");  // no random bytes for the mask
  }
}

}  // namespace pronghorn::worker
