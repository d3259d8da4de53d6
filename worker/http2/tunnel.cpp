#include "worker/http2/tunnel.h"

#include <utility>

#include "worker/http2/connection.h"
#include "worker/http2/stream.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kKeptCapacity = 1024;  // of out_ while nothing waits

}  // namespace

Http2Tunnel::Http2Tunnel(Http2Connection& connection, Http2Stream& stream) noexcept
    : connection_(connection), stream_(&stream) {
  nested_ = true;
}

Http2Tunnel::~Http2Tunnel() {
  if (acts_at_end_ || acts_next_) connection_.context().end_of_turn.forget(*this);
}

void Http2Tunnel::act_at_end_of_turn() {
  if (!std::exchange(acts_at_end_, true)) connection_.context().end_of_turn.flush(*this);
}

void Http2Tunnel::act_in_next_turn() {
  if (!std::exchange(acts_next_, true)) connection_.context().end_of_turn.resume_next_turn(*this);
}

// --- The protocol ---------------------------------------------------------------------------------------------------

void Http2Tunnel::begin(std::unique_ptr<detail::Upgrade> to) {
  to_ = std::move(to);
  act_at_end_of_turn();
}

void Http2Tunnel::end_turn() {
  acts_at_end_ = false;
  if (to_ != nullptr && !begin_protocol()) return connection_.tunnel_ended(*this);
  deliver();
}

// No code of the handler that has accepted the request is on the stack. False: there is no protocol to serve.
bool Http2Tunnel::begin_protocol() {
  std::unique_ptr<detail::Upgrade> to = std::exchange(to_, nullptr);
  if (stream_ == nullptr) return false;
  protocol_ = connection_.owner().begin_within(*this, *this, connection_.peer(), std::move(to));
  if (protocol_ == nullptr) std::exchange(stream_, nullptr)->leave_tunnel(true);
  return protocol_ != nullptr;
}

void Http2Tunnel::drain(bool close_idle) {
  if (protocol_ != nullptr) protocol_->drain(close_idle);
}

void Http2Tunnel::close_protocol() noexcept {
  if (protocol_ != nullptr) protocol_->close();
}

// Exchanges of the protocol may use it until the turn has ended, so this is a turn later.
void Http2Tunnel::next_turn() {
  acts_next_ = false;
  if (closing_) return events_->on_closed();  // the tunnel is gone then
  if (queued_ == 0) events_->on_drained();
}

void Http2Tunnel::closed(Connection&) noexcept { connection_.tunnel_ended(*this); }

// --- Reading --------------------------------------------------------------------------------------------------------

void Http2Tunnel::receive(std::string_view bytes) {
  if (!reading_ || !received_.empty()) {
    received_.append(bytes);
    return;
  }
  stream_->consume();
  events_->on_data(bytes);
}

void Http2Tunnel::finish() {
  owes_end_ = true;
  if (received_.empty()) deliver();
}

// Not at once: whoever begins to read may be in the middle of something.
void Http2Tunnel::start_reading() {
  reading_ = true;
  if (has_input()) act_at_end_of_turn();
}

void Http2Tunnel::deliver() {
  if (reading_ && !received_.empty()) {
    const std::string bytes = std::exchange(received_, {});
    if (stream_ != nullptr) stream_->consume();
    events_->on_data(bytes);
  }
  if (!reading_ || !owes_end_) return;
  owes_end_ = reading_ = false;
  events_->on_end();
}

// --- Writing --------------------------------------------------------------------------------------------------------

void Http2Tunnel::write(std::string_view first, std::string_view second) {
  if (stream_ == nullptr || shut_) return;
  out_.append(first).append(second);
  queued_ += first.size() + second.size();
  stream_->resume_output();
}

void Http2Tunnel::write_file(std::string_view first, std::unique_ptr<detail::FilePart> part) {
  std::string bytes(first);
  file_was_short_ = !part->file->append(bytes, part->offset, static_cast<std::size_t>(part->length));
  write(bytes, {});
  if (file_was_short_) events_->on_error();
}

void Http2Tunnel::write_owed(std::string_view bytes, std::unique_ptr<detail::FilePart> part) {
  part != nullptr ? write_file(bytes, std::move(part)) : write(bytes, {});
}

// Whenever half of it was sent, the rest is moved to the front, so each byte moves about once.
void Http2Tunnel::take(std::string& out, std::size_t size) {
  out.append(out_, taken_, size);
  taken_ += size;
  queued_ -= size;
  bytes_sent_ += size;
  if (taken_ >= queued_) {
    out_.erase(0, taken_);
    taken_ = 0;
  }
  if (queued_ != 0) return;
  if (out_.capacity() > kKeptCapacity) out_.shrink_to_fit();
  act_in_next_turn();
}

// --- Ending ---------------------------------------------------------------------------------------------------------

void Http2Tunnel::shutdown() noexcept {
  if (std::exchange(shut_, true) || stream_ == nullptr) return;
  stream_->end_output();
}

void Http2Tunnel::end(bool with_reset) noexcept {
  if (closing_) return;
  closing_ = true;
  reading_ = false;
  if (stream_ != nullptr) std::exchange(stream_, nullptr)->leave_tunnel(with_reset || queued_ != 0);
  forget_bytes();
  act_in_next_turn();
}

void Http2Tunnel::stream_ended(bool in_order) noexcept {
  stream_ = nullptr;
  if (to_ != nullptr) return;  // begin_protocol() sees it
  if (protocol_ == nullptr) return connection_.tunnel_ended(*this);
  if (in_order) return;
  forget_bytes();
  events_->on_error();
}

void Http2Tunnel::forget_bytes() noexcept {
  received_ = {};
  out_ = {};
  taken_ = queued_ = 0;
  owes_end_ = false;
}

}  // namespace pronghorn::worker
