#include "worker/websocket/protocol/frame_assembly.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace pronghorn::worker {
namespace {

constexpr std::size_t kKeptCapacity = 16 * 1024;  // bytes of a buffer that is kept for the next message

// The most that compressed messages of `size` bytes may have: what zlib makes of data that cannot be compressed, with
// the worst of its settings (deflateBound()).
std::uint64_t most_compressed(std::uint64_t size) noexcept {
  return std::min<std::uint64_t>(size + size / 8 + size / 64 + 64, std::numeric_limits<std::uint32_t>::max());
}

bool is_known(Opcode opcode) noexcept {
  switch (opcode) {
    case Opcode::continuation:
    case Opcode::text:
    case Opcode::binary:
    case Opcode::close:
    case Opcode::ping:
    case Opcode::pong:
      return true;
  }
  return false;
}

std::string_view text_of(const std::uint8_t* data, std::size_t size) noexcept {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

FrameAssembly::FrameAssembly() {
  wslay_frame_callbacks callbacks{};
  callbacks.recv_callback = [](std::uint8_t* to, std::size_t room, int, void* self) noexcept {
    return static_cast<FrameAssembly*>(self)->feed(to, room);
  };
  wslay_frame_context* context = nullptr;
  if (wslay_frame_context_init(&context, &callbacks, this) != 0) throw std::bad_alloc();
  context_.reset(context);
}

void FrameAssembly::clean() {
  if (!std::exchange(returned_, false)) return;
  for (std::string* buffer : {&payload_, &inflated_}) {
    // Not an assignment: std::string keeps its memory when it is assigned a short one.
    if (buffer->capacity() > kKeptCapacity) std::string().swap(*buffer);
    buffer->clear();
  }
}

FrameStep FrameAssembly::read(std::string_view bytes, const FrameRules& rules, Inflater& inflater) {
  clean();
  rules_ = &rules;
  inflater_ = &inflater;
  input_ = bytes;
  step_ = {};
  while (step_.item == FrameItem::none) {
    wslay_frame_iocb frame{};
    const ssize_t result = wslay_frame_recv(context_.get(), &frame);
    if (step_.item == FrameItem::failure) break;
    if (result == WSLAY_ERR_WANT_READ) break;
    if (result < 0) {
      fail(kCloseProtocolError, "the length of a frame is not in its shortest form");
      break;
    }
    const std::string_view piece = text_of(frame.data, frame.data_length);
    const bool last = payload_left_ == 0;  // wslay returns all that it was given of a payload
    last ? end_frame(piece) : take_payload(piece);
  }
  step_.consumed = bytes.size() - input_.size();
  return step_;
}

void FrameAssembly::fail(std::uint16_t code, std::string_view reason) noexcept {
  step_.item = FrameItem::failure;
  step_.code = code;
  step_.payload = reason;
}

// Collects the head of a frame from the input, and refuses it as soon as that can be known.
void FrameAssembly::take_head() noexcept {
  const auto take = [this](std::size_t size) {
    const std::size_t taken = std::min(size - have_, input_.size());
    std::memcpy(head_bytes_.data() + have_, input_.data(), taken);
    input_.remove_prefix(taken);
    have_ = static_cast<std::uint8_t>(have_ + taken);
    return have_ == size;
  };
  if (have_ < kStartOfFrameHead) {
    if (!take(kStartOfFrameHead)) return;
    head_ = parse_frame_head({head_bytes_.data(), have_});
    check_start(head_);
    if (step_.item == FrameItem::failure) return;
  }
  if (!take(head_.size)) return;
  head_ = parse_frame_head({head_bytes_.data(), have_});
  check_length(head_);
  head_complete_ = true;
  payload_left_ = head_.length;
}

// The rules about everything but the length of a message. RFC 6455 sections 5.1, 5.2, 5.4, 5.5; RFC 7692 section 6.
void FrameAssembly::check_start(const FrameHead& head) noexcept {
  const bool in_message = message_ != Opcode::continuation;
  const bool begins = head.opcode == Opcode::text || head.opcode == Opcode::binary;
  const unsigned allowed = rules_->deflate && begins ? kCompressedBit : 0;
  if ((head.reserved & ~allowed) != 0) return fail(kCloseProtocolError, "a reserved bit is set");
  if (!is_known(head.opcode)) return fail(kCloseProtocolError, "the opcode is unknown");
  if (head.masked != (rules_->role == WebSocketRole::server)) {
    return fail(kCloseProtocolError, head.masked ? "a server's frame is masked" : "a client's frame is not masked");
  }
  if (is_control(head.opcode)) {
    if (!head.final) return fail(kCloseProtocolError, "a control frame is fragmented");
    if (head.length > kMaxControlPayload) return fail(kCloseProtocolError, "a control frame is too long");
    return;
  }
  if (begins && in_message) return fail(kCloseProtocolError, "a message begins within another");
  if (!begins && !in_message) return fail(kCloseProtocolError, "there is no message to continue");
  if (begins) compressed_ = head.reserved != 0;
}

// wslay refuses lengths that are not in the shortest form, and those of 2^63 and more.
void FrameAssembly::check_length(const FrameHead& head) noexcept {
  if (is_control(head.opcode) || (head.length >> 63) != 0) return;
  const std::uint64_t most = compressed_ ? most_compressed(rules_->max_message) : rules_->max_message;
  if (head.length > most - payload_.size()) fail(kCloseTooBig, "the message is too big");
}

// Gives wslay the bytes of one frame and no more: first its head, then its payload.
ssize_t FrameAssembly::feed(std::uint8_t* to, std::size_t room) noexcept {
  if (!head_complete_) {
    take_head();
    if (!head_complete_ || step_.item == FrameItem::failure) return -1;
    std::memcpy(to, head_bytes_.data(), have_);
    return have_;
  }
  const std::size_t size = std::min({payload_left_, std::uint64_t{room}, std::uint64_t{input_.size()}});
  if (size == 0) return -1;
  std::memcpy(to, input_.data(), size);
  input_.remove_prefix(size);
  payload_left_ -= size;
  return static_cast<ssize_t>(size);
}

// A piece of the payload of the current frame, unmasked; not the last one.
void FrameAssembly::take_payload(std::string_view piece) {
  if (is_control(head_.opcode)) {
    std::memcpy(control_.data() + control_size_, piece.data(), piece.size());
    control_size_ = static_cast<std::uint8_t>(control_size_ + piece.size());
    return;
  }
  if (head_.opcode != Opcode::continuation) message_ = head_.opcode;
  if (message_ == Opcode::text && !compressed_ && !utf8_.add(piece)) {
    return fail(kCloseBadData, "a text is not UTF-8");
  }
  payload_.append(piece);
}

void FrameAssembly::end_frame(std::string_view last_piece) {
  const bool whole = control_size_ == 0;
  have_ = 0;
  head_complete_ = false;
  if (!is_control(head_.opcode)) {
    if (head_.final) return end_message(last_piece);
    count_fragment();
    return take_payload(last_piece);
  }
  if (whole) return end_control(last_piece);
  take_payload(last_piece);
  end_control({control_.data(), std::exchange(control_size_, std::uint8_t{0})});
}

// Nothing else limits fragments without payload: they fill no message.
void FrameAssembly::count_fragment() noexcept {
  if (head_.length == 0) {
    ++step_.empty_fragments;
  } else if (head_.length < kSmallFragment) {
    ++step_.small_fragments;
  }
}

void FrameAssembly::end_control(std::string_view payload) {
  step_.payload = payload;
  if (head_.opcode != Opcode::close) {
    step_.item = head_.opcode == Opcode::ping ? FrameItem::ping : FrameItem::pong;
    return;
  }
  step_.item = FrameItem::close;
  step_.code = kCloseNoCode;
  if (payload.empty()) return;
  if (payload.size() == 1) return fail(kCloseProtocolError, "a close frame has half a code");
  const auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(payload[i])); };
  step_.code = static_cast<std::uint16_t>(byte(0) << 8 | byte(1));
  step_.payload.remove_prefix(2);
  if (!valid_close_code(step_.code)) return fail(kCloseProtocolError, "the close code is invalid");
  if (!is_utf8(step_.payload)) fail(kCloseBadData, "the reason of a close frame is not UTF-8");
}

void FrameAssembly::end_message(std::string_view last_piece) {
  std::string_view payload = last_piece;  // a message of one piece, as most are, stays where wslay has it
  if (!payload_.empty()) {
    payload_.append(last_piece);
    payload = payload_;
  }
  returned_ = true;
  if (head_.opcode != Opcode::continuation) message_ = head_.opcode;
  if (compressed_) {
    payload = last_piece = decompress(payload);
    if (step_.item == FrameItem::failure) return;
  }
  if (message_ == Opcode::text && !(utf8_.add(last_piece) && utf8_.complete())) {
    return fail(kCloseBadData, "a text is not UTF-8");
  }
  step_.item = message_ == Opcode::text ? FrameItem::text : FrameItem::binary;
  step_.payload = payload;
  message_ = Opcode::continuation;
}

std::string_view FrameAssembly::decompress(std::string_view payload) {
  switch (inflater_->inflate(payload, rules_->max_message, inflated_)) {
    case Inflater::Result::done:
      break;
    case Inflater::Result::invalid:
      fail(kCloseBadData, "the compressed data are invalid");
      break;
    case Inflater::Result::too_big:
      fail(kCloseTooBig, "the message is too big");
      break;
  }
  return inflated_;
}

}  // namespace pronghorn::worker
