#include "worker/http1/body_receiver.h"

#include <algorithm>
#include <utility>

namespace pronghorn::worker {

void BodyReceiver::begin(Exchange& exchange) noexcept {
  reader_ = &exchange;
  chunked_ = exchange.head.chunked;
  left_ = exchange.head.content_length.value_or(0);
  dropped_ = 0;
  decoder_.reset();
  state_ = exchange.head.expect_continue ? State::awaiting_continue : State::receiving;
  exchange.body.begin(left_);
}

BodyReceiver::Taken BodyReceiver::take(std::string_view bytes) {
  if (state_ == State::broken) return {bytes.size(), drop(bytes.size())};
  // The client did not wait for "100 Continue".
  if (state_ == State::awaiting_continue) state_ = reader_ != nullptr ? State::receiving : State::dropping;
  if (chunked_) return take_chunk(bytes);
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
  left_ -= size;
  const bool last = left_ == 0;
  const Outcome outcome = deliver(bytes.substr(0, size));
  if (last && outcome != Outcome::too_large) finish();
  return {size, outcome};
}

BodyReceiver::Taken BodyReceiver::take_chunk(std::string_view bytes) {
  const ChunkedDecoder::Step step = decoder_.next(bytes);
  // A chunk that is too large is refused when its size is known, before its data arrive.
  const std::size_t arrived = step.state == ChunkedDecoder::State::data ? step.data.size() : 0;
  const std::uint64_t announced = arrived + decoder_.chunk_left();
  if (reader_ != nullptr && !reader_->body.has_room_for(announced)) return {step.consumed, Outcome::too_large};
  switch (step.state) {
    case ChunkedDecoder::State::data:
      return {step.consumed, deliver(step.data)};
    case ChunkedDecoder::State::trailers:
      if (reader_ != nullptr) reader_->trailer_bytes.append(step.data);
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
  if (reader_ == nullptr) return drop(data.size());
  if (!reader_->body.has_room_for(data.size())) return Outcome::too_large;
  reader_->body.push(data);
  return Outcome::more;
}

BodyReceiver::Outcome BodyReceiver::drop(std::size_t bytes) noexcept {
  dropped_ += bytes;
  return dropped_ > kMaxDropped ? Outcome::unwanted : Outcome::more;
}

void BodyReceiver::finish() {
  if (state_ == State::broken) return;
  state_ = State::none;
  if (Exchange* const reader = std::exchange(reader_, nullptr)) reader->body.finish();
}

bool BodyReceiver::continue_now() noexcept {
  if (state_ != State::awaiting_continue) return false;
  state_ = State::receiving;
  return true;
}

void BodyReceiver::drop_rest() noexcept {
  reader_ = nullptr;
  if (state_ == State::receiving) state_ = State::dropping;
}

void BodyReceiver::give_up() noexcept {
  reader_ = nullptr;
  state_ = State::broken;
}

bool BodyReceiver::holds_back() const noexcept {
  if (state_ == State::none) return false;
  return reader_ != nullptr ? !reader_->body.wants_more() : dropped_ > kMaxDropped;
}

}  // namespace pronghorn::worker
