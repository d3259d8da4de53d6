// What a connection waits for, how it ends and how it moves: see connection.h.
#include <utility>

#include "common/log.h"
#include "worker/guardian/gather.h"
#include "worker/websocket/connection.h"
#include "worker/websocket/socket_service.h"
#include "worker/websocket/upgrade.h"

namespace pronghorn::worker {

SocketConnection::SocketConnection(HttpContext& context, ConnectionOwner& owner, ByteStream& stream, Peer peer)
    : context_(context),
      owner_(owner),
      stream_(stream),
      peer_(std::move(peer)),
      reader_(context.sockets->memory()),
      counted_(stream.bytes_sent()),
      opened_ms_(monotonic_ms()) {}

SocketConnection::~SocketConnection() {
  if (flushing_ || resuming_) context_.end_of_turn.forget(*this);
  context_.timeouts.remove(*this);
}

void SocketConnection::begin(std::unique_ptr<Socket> socket) {
  socket_ = std::move(socket);
  reader_ = FrameReader(context_.sockets->memory(),
                        {.deflate = socket_->record().compressed,
                         .max_message = static_cast<std::uint32_t>(socket_->route().entry.max_message)});
  add(socket_->route().row.open);
  context_.sockets->enlist(*this);
}

void SocketConnection::start(std::unique_ptr<detail::Upgrade> upgrade, std::string unparsed) {
  begin(static_cast<SocketUpgrade&>(*upgrade).take());
  add(context_.row[Count::sockets_opened]);
  position_ = stream_.notes().consumed();
  unparsed_ = std::move(unparsed);
  socket_->connect(*this, {});
  flush_later();
  go_on();
  stream_.read_start();
  settle();
}

void SocketConnection::resume(const HandoffRecord& record, const Handed& handed) {
  const std::uint64_t now = monotonic_ms();
  opened_ms_ = now > record.opened_ms ? record.opened_ms : now;
  position_ = record.answered;
  begun_ = record.begun;
  begun_until_ = record.begun_until;
  if (!handed.unsent.empty()) stream_.write_owed(handed.unsent, nullptr);
  std::unique_ptr<Socket> socket = context_.sockets->take_up(handed.state, peer_.client);
  const bool known = socket != nullptr;
  if (!known) socket = context_.sockets->stranger(peer_.client);  // of a route that this version does not have
  const std::uint16_t sent_close = socket->record().sent_close;
  begin(std::move(socket));
  socket_->connect(*this, handed.marks);
  const bool failed_before = begun_ == Begun::guilty || begun_ == Begun::unknown;
  if (record.closing != 0) {
    state_ = State::ended;
    client_gone_ = true;
    if (record.ends != 0 || failed_before) close_handler_ = CloseHandler::ended;
    if (failed_before)
      log_error("the close handler of a WebSocket has crashed its worker", {{"socket", socket_->record().id}});
  } else if (!known) {
    fail(kCloseGoingAway, "this version of the application has no such route");
  } else if (sent_close != 0) {
    state_ = record.truncated != 0 ? State::failed : State::closing;  // it is sent once
    code_ = sent_close;
  } else if (record.truncated != 0) {
    fail(kCloseRestart, "the server was restarted while a message arrived");
  }
  flush_later();
  if (!handed.unanswered.empty()) take_in(handed.unanswered);
  stream_.read_start();
  settle();
}

// --- Waiting ---------------------------------------------------------------------------------------------------------

// Call after every event.
void SocketConnection::settle() {
  if (stream_.closing()) return;
  count_bytes();
  if (!flushing_ && out_.empty()) stream_.notes().settle_messages();
  if (state_ == State::ended && !flushing_) close_if_done();
  if (stream_.closing()) return;
  if (holds_back()) {
    stream_.read_stop();
  } else if (!client_gone_) {
    stream_.read_start();
  }
  update_waiting();
}

void SocketConnection::update_waiting() {
  TimeoutLists& timeouts = context_.timeouts;
  if (stream_.queued() > 0 && !broken_) {
    if (waiting() != Waiting::for_writes) progress_.restart();
    return timeouts.keep_waiting(*this, Waiting::for_writes);
  }
  if (exchange_ != nullptr) return timeouts.keep_waiting(*this, Waiting::for_handler);
  timeouts.keep_waiting(*this, state_ == State::open ? Waiting::for_message : Waiting::for_end);
}

void SocketConnection::count_bytes() noexcept {
  const std::uint64_t sent = stream_.bytes_sent() - std::exchange(counted_, stream_.bytes_sent());
  if (!stream_.nested()) add(context_.row[Count::bytes_out], sent);
  SocketRow& row = socket_->route().row;
  add(row.bytes_out, sent);
  const std::uint64_t before = std::exchange(row_queued_, queued());
  if (row_queued_ == before) return;
  socket_->service().count_queued(before, row_queued_);
  if (row_queued_ > before) add(row.queued, row_queued_ - before);
  if (row_queued_ < before) subtract(row.queued, before - row_queued_);
}

void SocketConnection::on_drained() {
  if (stream_.closing()) return;
  socket_->resume_waiting();
  go_on();
  settle();
}

void SocketConnection::timed_out() {
  switch (waiting()) {
    case Waiting::for_message:
      if (!std::exchange(pinged_, true)) {
        socket_->service().writer().ping(out_);
        context_.timeouts.wait(*this, Waiting::for_message);
        return flush_later();
      }
      add(context_.row[Count::limit_websocket_ping]);
      break;
    case Waiting::for_writes:
      if (progress_.reads(stream_, context_.timeouts.waited(*this))) {
        return context_.timeouts.wait(*this, Waiting::for_writes);
      }
      add(context_.row[Count::limit_write_time]);
      add(context_.row[Count::timeouts]);
      break;
    case Waiting::for_end:  // the client does not answer the close frame
      break;
    default:
      return;
  }
  context_.timeouts.wait(*this, waiting());  // it ends at the end of the turn: until then it must not expire again
  broken_ = true;
  leave();
}

void SocketConnection::check_deadline(std::chrono::steady_clock::time_point now) {
  if (waiting() == Waiting::for_writes && progress_.unknown()) progress_.look(stream_);
  if (exchange_ == nullptr || now < exchange_->deadline) return;
  add(context_.row[Count::limit_deadline]);
  log_error("a handler of a WebSocket has passed its deadline",
            {{"socket", socket_->record().id}, {"route", exchange_->route}});
  exchange_->running.reset();  // now: something else of this turn might resume it
  if (close_handler_ == CloseHandler::running) return close_handler_ended(true);
  message_ended(true);
}

// --- Ending ----------------------------------------------------------------------------------------------------------

void SocketConnection::on_end() { leave(); }

void SocketConnection::on_error() {
  broken_ = true;
  stream_.read_stop();
  leave();
}

// The client sends nothing more. What it has sent is still handled.
void SocketConnection::leave() {
  client_gone_ = true;
  if (state_ == State::open) {
    state_ = State::leaving;
  } else if (state_ != State::leaving) {
    finish();
  }
  flush_later();  // where the socket ends as soon as no message waits
}

void SocketConnection::begin_close(std::uint16_t code, std::string_view reason) {
  if (state_ != State::open) return;
  send_close(code, reason);
  state_ = State::closing;
}

void SocketConnection::fail(std::uint16_t code, std::string_view reason) {
  if (state_ == State::leaving) return finish();
  if (state_ != State::open && state_ != State::closing) return;
  if (state_ == State::open) send_close(code, reason);
  state_ = State::failed;
  unparsed_.clear();
  flush_later();
}

void SocketConnection::send_close(std::uint16_t code, std::string_view reason) {
  add(context_.row[Count::sockets_closed]);
  code_ = code;
  reason_ = reason;
  arrived_.reset();
  arrived_bytes_ = 0;
  if (socket_->record().sent_close == 0) {  // else it was sent with the answer to the handshake
    socket_->service().writer().close(out_, code, reason);
    socket_->sent_close(code);
  }
  flush_later();
}

// Nothing more is exchanged with the client, but what has gathered is still written.
void SocketConnection::finish() {
  if (state_ == State::ended) return;
  state_ = State::ended;
  arrived_.reset();
  arrived_bytes_ = 0;
  unparsed_.clear();
  if (answers_close_ && !broken_) {
    socket_->service().writer().close(out_, code_);
    socket_->sent_close(code_);
  }
  flush_later();
}

void SocketConnection::close_if_done() {
  if (close_handler_ != CloseHandler::ended || exchange_ != nullptr) return;
  if (broken_ || (client_gone_ && queued() == 0)) end(false);
}

void SocketConnection::too_slow() {
  add(context_.row[Count::sockets_too_slow]);
  code_ = kClosePolicy;
  reason_ = "the client is too slow";
  broken_ = true;
  out_.clear();
  leave();
}

void SocketConnection::end(bool moves) noexcept {
  if (stream_.closing()) return;
  if (exchange_ != nullptr) close_exchange();
  context_.timeouts.remove(*this);
  socket_->disconnect(moves);
  count_bytes();
  SocketRow& row = socket_->route().row;
  socket_->service().count_queued(row_queued_, 0);
  subtract(row.queued, std::exchange(row_queued_, 0));
  subtract(row.open);
  context_.sockets->delist(*this);
  stream_.close();
}

// --- Moving ----------------------------------------------------------------------------------------------------------

void SocketConnection::drain(bool close_idle) {
  const bool moves = context_.hands_over && stream_.notes().entry() != nullptr;
  if (close_idle && !moves) begin_close(kCloseGoingAway, "this server process is stopping");
}

bool SocketConnection::can_move() const noexcept {
  return stream_.notes().entry() != nullptr && !stream_.closing() && state_ == State::open && exchange_ == nullptr &&
         arrived_ == nullptr && !flushing_ && out_.empty() &&
         stream_.notes().keeps_all_messages();  // else the end of the message that arrives is waited for
}

HandoffSent SocketConnection::hand_over(Ledger& ledger, int queue) noexcept {
  const HandoffSent sent = give_away(ledger, *stream_.notes().entry(), queue);
  if (sent == HandoffSent::refused) begin_close(kCloseRestart, "the worker leaves");
  return sent;
}

void SocketConnection::moved() noexcept { end(true); }

}  // namespace pronghorn::worker
