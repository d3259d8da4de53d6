#include "worker/http1/body_receiver.h"

#include <algorithm>
#include <utility>

namespace pronghorn::worker {

void BodyReceiver::begin(Exchange& exchange) noexcept {
  const std::uint64_t length = exchange.head.content_length.value_or(0);
  body_ = std::make_unique<Body>(Body{.reader = &exchange, .left = length, .chunked = exchange.head.chunked});
  state_ = exchange.head.expect_continue ? State::awaiting_continue : State::receiving;
  exchange.body.begin(length);
}

BodyReceiver::Taken BodyReceiver::take(std::string_view bytes, LedgerNotes& notes) {
  if (state_ == State::broken) {
    notes.consume(bytes.size());
    return {bytes.size(), drop(bytes.size())};
  }
  // The client did not wait for "100 Continue".
  if (state_ == State::awaiting_continue) state_ = body_->reader != nullptr ? State::receiving : State::dropping;
  if (body_->chunked) return take_chunk(bytes, notes);
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(body_->left, bytes.size()));
  notes.consume(size);
  body_->left -= size;
  const bool last = body_->left == 0;
  const Outcome outcome = deliver(bytes.substr(0, size));
  if (last && outcome != Outcome::too_large) finish();
  return {size, outcome};
}

BodyReceiver::Taken BodyReceiver::take_chunk(std::string_view bytes, LedgerNotes& notes) {
  const ChunkedDecoder::Step step = body_->decoder.next(bytes);
  const bool framed = step.state != ChunkedDecoder::State::malformed && step.state != ChunkedDecoder::State::too_large;
  notes.consume(framed ? step.consumed : bytes.size());
  // A chunk that is too large is refused when its size is known, before its data arrive.
  const std::size_t arrived = step.state == ChunkedDecoder::State::data ? step.data.size() : 0;
  const std::uint64_t announced = arrived + body_->decoder.chunk_left();
  Exchange* const reader = body_->reader;
  if (reader != nullptr && !reader->body.has_room_for(announced)) return {step.consumed, Outcome::too_large};
  switch (step.state) {
    case ChunkedDecoder::State::data:
      return {step.consumed, deliver(step.data)};
    case ChunkedDecoder::State::trailers:
      if (reader != nullptr) reader->trailer_bytes.append(step.data);
      break;
    case ChunkedDecoder::State::done:
      finish();
      break;
    case ChunkedDecoder::State::malformed:
      return {bytes.size(), Outcome::malformed};
    case ChunkedDecoder::State::too_large:
      return {bytes.size(), Outcome::too_large};
    case ChunkedDecoder::State::needs_more:
      break;
  }
  return {step.consumed, Outcome::more};
}

BodyReceiver::Outcome BodyReceiver::deliver(std::string_view data) {
  Exchange* const reader = body_->reader;
  if (reader == nullptr) return drop(data.size());
  if (!reader->body.has_room_for(data.size())) return Outcome::too_large;
  reader->body.push(data);
  return Outcome::more;
}

BodyReceiver::Outcome BodyReceiver::drop(std::size_t bytes) noexcept {
  body_->dropped += bytes;
  return body_->dropped > kMaxDropped ? Outcome::unwanted : Outcome::more;
}

void BodyReceiver::finish() {
  if (state_ == State::broken) return;
  Exchange* const reader = body_->reader;
  end();
  if (reader != nullptr) reader->body.finish();
}

void BodyReceiver::end() noexcept {
  state_ = State::none;
  body_.reset();
}

bool BodyReceiver::continue_now() noexcept {
  if (state_ != State::awaiting_continue) return false;
  state_ = State::receiving;
  return true;
}

void BodyReceiver::drop_rest() noexcept {
  if (body_ == nullptr) return;
  body_->reader = nullptr;
  if (state_ == State::receiving) state_ = State::dropping;
}

void BodyReceiver::give_up() noexcept {
  if (body_ == nullptr) body_ = std::make_unique<Body>();
  body_->reader = nullptr;
  state_ = State::broken;
}

bool BodyReceiver::holds_back() const noexcept {
  if (body_ == nullptr) return false;
  return body_->reader != nullptr ? !body_->reader->body.wants_more() : body_->dropped > kMaxDropped;
}

}  // namespace pronghorn::worker
