// Messages: see connection.h.
#include "worker/websocket/connection.h"

#include <algorithm>
#include <coroutine>
#include <exception>
#include <utility>
#include <variant>

#include "common/log.h"
#include "worker/exchange/running.h"
#include "worker/runtime/exception_text.h"
#include "worker/websocket/socket_service.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMostArrived = 64 * 1024;    // bytes of messages that wait for a handler, before one more
constexpr std::size_t kMostMessages = 128;         // of them
constexpr std::size_t kKeptCapacity = 1024;        // of out_ between turns
constexpr std::string_view kMethod = "WEBSOCKET";  // what logs and crash reports show in place of a method

// The last thing that a handler's coroutine awaits: it stays suspended until its exchange is closed.
class HandlerEnd {
 public:
  HandlerEnd(SocketConnection& connection, void (SocketConnection::*ended)(bool), bool failed) noexcept
      : connection_(connection), ended_(ended), failed_(failed) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) { (connection_.*ended_)(failed_); }
  void await_resume() const noexcept {}

 private:
  SocketConnection& connection_;
  void (SocketConnection::*ended_)(bool);
  bool failed_;
};

}  // namespace

// --- What arrives ----------------------------------------------------------------------------------------------------

void SocketConnection::on_data(std::string_view bytes) {
  if (!stream_.nested()) add(context_.row[Count::bytes_in], bytes.size());
  add(socket_->route().row.bytes_in, bytes.size());
  pinged_ = false;
  if (waiting() == Waiting::for_message) context_.timeouts.wait(*this, Waiting::for_message);
  take_in(bytes);
  stream_.notes().keep_messages(bytes);
  settle();
}

void SocketConnection::take_in(std::string_view bytes) {
  if (unparsed_.empty()) {
    const std::size_t used = parse(bytes);
    if (used < bytes.size()) unparsed_.assign(bytes.substr(used));
    return;
  }
  unparsed_.append(bytes);
  go_on();
}

// Parses and handles as much as is possible now; returns how many bytes that was.
std::size_t SocketConnection::parse(std::string_view bytes) {
  parsing_ = true;
  std::size_t used = 0;
  while ((state_ == State::open || state_ == State::closing) && !holds_back()) {
    if (!reader_.in_message()) message_from_ = position_;
    const FrameStep step = reader_.next(bytes.substr(used));
    used += step.consumed;
    position_ += step.consumed;
    stream_.notes().consume(step.consumed);
    if (!take_fragments(step) || step.item == FrameItem::none) break;
    take_frame(step);
  }
  parsing_ = false;
  const bool reads = state_ == State::open || state_ == State::closing;
  // Until the close handler has begun, another worker needs the close frame that it is to run for.
  if (reads) note_handled();
  return reads ? used : bytes.size();
}

// Everything that was parsed is handled, unless a message is not.
void SocketConnection::note_handled() noexcept {
  if (exchange_ != nullptr || arrived_ != nullptr) return;
  stream_.notes().end_messages(reader_.in_message() ? message_from_ : position_);
}

// False if there were too many: then nothing more is read.
bool SocketConnection::take_fragments(const FrameStep& step) {
  if ((step.empty_fragments | step.small_fragments) == 0 || state_ != State::open) return true;
  const std::uint64_t now = context_.timeouts.now();
  const bool may = rate_.take_control(now, step.empty_fragments) &&
                   rate_.take_message(now, socket_->route().entry.max_rate, step.small_fragments);
  if (!may) fail(kClosePolicy, "too many small fragments");
  return may;
}

void SocketConnection::take_frame(const FrameStep& step) {
  const std::uint64_t now = context_.timeouts.now();
  const bool open = state_ == State::open;
  switch (step.item) {
    case FrameItem::text:
    case FrameItem::binary:
      if (!open) return;
      if (!rate_.take_message(now, socket_->route().entry.max_rate)) {
        return fail(kClosePolicy, "too many messages");
      }
      return take_message(step.payload, step.item == FrameItem::text);
    case FrameItem::ping:
      if (!open) return;
      if (!rate_.take_control(now)) return fail(kClosePolicy, "too many control frames");
      socket_->service().writer().pong(out_, step.payload);
      return flush_later();
    case FrameItem::pong:
      if (open && !rate_.take_control(now)) fail(kClosePolicy, "too many control frames");
      return;
    case FrameItem::close:
      if (open) {
        code_ = step.code;
        reason_ = step.payload;
        answers_close_ = true;
      }
      return leave();
    case FrameItem::failure:
      return fail(step.code, step.payload);
    case FrameItem::none:
      return;
  }
}

void SocketConnection::take_message(std::string_view payload, bool is_text) {
  add(socket_->route().row.messages_in);
  if (exchange_ == nullptr && arrived_ == nullptr) return handle(payload, message_from_, position_, is_text);
  if (arrived_ == nullptr) arrived_ = std::make_unique<std::deque<Arrived>>();
  arrived_->push_back({std::string(payload), message_from_, position_, is_text});
  arrived_bytes_ += payload.size();
}

// Whether to leave bytes where they are, so that the client slows down.
bool SocketConnection::holds_back() const noexcept {
  if (state_ != State::open) return false;
  if (queued() >= kRoom) return true;
  return arrived_ != nullptr && (arrived_bytes_ >= kMostArrived || arrived_->size() >= kMostMessages);
}

// Handles what has waited. Called by the loop's own callbacks, never by a handler.
void SocketConnection::go_on() {
  const auto handles = [this] { return state_ == State::open || state_ == State::leaving; };
  while (handles() && exchange_ == nullptr && arrived_ != nullptr && (queued() < kRoom || broken_)) {
    const Arrived next = std::move(arrived_->front());
    arrived_->pop_front();
    arrived_bytes_ -= next.payload.size();
    if (arrived_->empty()) arrived_.reset();
    handle(next.payload, next.from, next.until, next.is_text);
  }
  if (state_ == State::leaving && exchange_ == nullptr && arrived_ == nullptr) return finish();
  if (unparsed_.empty() || parsing_) return;
  std::string bytes = std::exchange(unparsed_, {});
  const std::size_t used = parse(bytes);
  if (used == bytes.size()) return;
  bytes.erase(0, used);
  unparsed_ = std::move(bytes);
}

// --- Handlers --------------------------------------------------------------------------------------------------------

void SocketConnection::handle(std::string_view payload, std::uint64_t from, std::uint64_t until, bool is_text) {
  const Begun begun = begun_at(begun_, begun_until_, from);
  if (begun == Begun::guilty || begun == Begun::unknown) {
    return fail(kCloseError, "the server failed while it handled a message");
  }
  stream_.notes().begin_message(from);
  handling_until_ = until;
  socket_->handles(until);
  Exchange& exchange = open_exchange();
  exchange.head_bytes.assign(payload);
  run(socket_->route().entry.handlers.message.function(), &SocketConnection::message_ended,
      Message(exchange.head_bytes, is_text, until, begun == Begun::again));
}

Exchange& SocketConnection::open_exchange() {
  exchange_ = &context_.exchanges.open(
      {.owner = context_.nobody, .peer = peer_, .noted = stream_.notes().entry(), .state = context_.state});
  exchange_->head.clear();
  exchange_->head.method = kMethod;
  exchange_->head.path = socket_->route().path;
  exchange_->route = socket_->route().path;
  exchange_->worker = &socket_->service().worker();
  const auto limit = socket_->route().deadline;
  if (limit.count() > 0) exchange_->deadline = exchange_->started + limit;
  return *exchange_;
}

template <class Function, class... Args>
void SocketConnection::run(const Function& function, void (SocketConnection::*ended)(bool), Args... args) {
  Exchange& exchange = *exchange_;
  using Plain = std::variant_alternative_t<0, Function>;
  if (const auto* plain = std::get_if<Plain>(&function)) {
    Exchange* const before = detail::set_running(&exchange);
    bool failed = false;
    try {
      if (*plain) (*plain)(socket_->handle(), args...);
    } catch (...) {
      handler_failed(exchange, std::current_exception());
      failed = true;
    }
    detail::set_running(before);
    return (this->*ended)(failed);
  }
  exchange.running = run_task(function, ended, args...);
  Exchange* const before = detail::set_running(&exchange);
  exchange.running.start();
  detail::set_running(before);
}

template <class Function, class... Args>
Task<void> SocketConnection::run_task(const Function& function, void (SocketConnection::*ended)(bool), Args... args) {
  Exchange& exchange = *exchange_;
  using Coroutine = std::variant_alternative_t<1, Function>;
  bool failed = false;
  try {
    co_await std::get<Coroutine>(function)(socket_->handle(), args...);
  } catch (...) {
    handler_failed(exchange, std::current_exception());
    failed = true;
  }
  detail::set_running(nullptr);
  HandlerEnd end(*this, ended, failed);
  co_await end;
}

void SocketConnection::handler_failed(const Exchange& exchange, std::exception_ptr error) {
  add(context_.row[Count::handler_errors]);
  log_error("a handler of a WebSocket failed",
            {{"socket", socket_->record().id}, {"route", exchange.route}, {"error", describe(std::move(error))}});
}

// Its coroutine may be on the stack.
void SocketConnection::close_exchange() noexcept { context_.end_of_turn.close(*std::exchange(exchange_, nullptr)); }

void SocketConnection::message_ended(bool failed) {
  if (exchange_ == nullptr) return;  // end() has closed it, but the turn has not ended
  close_exchange();
  socket_->handles(0);
  stream_.notes().end_messages(handling_until_);
  if (state_ == State::open) note_handled();  // control frames that came meanwhile
  if (failed && state_ == State::open) fail(kCloseError, "the handler of a message failed");
  flush_later();  // which goes on with the next message, too
}

void SocketConnection::run_close_handler() {
  close_handler_ = CloseHandler::running;
  socket_->disconnect(false);
  stream_.notes().begin_close();
  open_exchange();
  run(socket_->route().entry.handlers.close.function(), &SocketConnection::close_handler_ended,
      CloseReason{.code = code_, .text = reason_});
}

void SocketConnection::close_handler_ended(bool) {
  if (exchange_ == nullptr) return;  // the same
  close_exchange();
  stream_.notes().end_close();
  close_handler_ = CloseHandler::ended;
  flush_later();
}

// --- What is sent ----------------------------------------------------------------------------------------------------

void SocketConnection::append_message(std::string& out, Socket& socket, std::string_view payload, bool is_text) {
  add(socket.route().row.messages_out);
  const SocketRecord& record = socket.record();
  std::optional<DeflateTerms> terms;
  if (record.compressed) terms = DeflateTerms{.window_bits = record.window_bits};
  FrameWriter& writer = socket.service().writer();
  is_text ? writer.text(out, payload, terms) : writer.binary(out, payload, terms);
}

// Whether so much waits for the client that it counts as too slow.
bool SocketConnection::is_full() const noexcept {
  const std::size_t most = socket_->route().entry.max_queue;
  return queued() >= (socket_->service().is_full() ? std::min(most, kRoom) : most);
}

void SocketConnection::send(std::string_view payload, bool is_text) {
  if (closing()) return;
  if (is_full()) return too_slow();
  append_message(out_, *socket_, payload, is_text);
  flush_later();
}

void SocketConnection::send_frames(std::string_view frames) {
  out_.append(frames);
  flush_later();
}

void SocketConnection::deliver(const std::string& topic, const EventPtr& event) {
  if (closing()) return;
  flush_later();  // the ledger learns that the client has it
  SocketRoute& route = socket_->route();
  if (is_full()) {
    if (route.entry.slow == SlowSocket::close) return too_slow();
    add(route.row.skipped);
    return;
  }
  const std::string_view frame = socket_->service().frame_of(route, topic, event, socket_->record());
  if (frame.empty()) return;
  add(route.row.messages_out);
  out_.append(frame);
}

void SocketConnection::deliver_gap(const std::string& topic) {
  if (closing()) return;
  const std::string message = socket_->service().gap_message(socket_->route(), topic);
  if (message.empty()) return;
  append_message(out_, *socket_, message, true);
  flush_later();
}

void SocketConnection::flush_later() {
  if (std::exchange(flushing_, true)) return;
  context_.end_of_turn.flush(*this);
}

void SocketConnection::end_turn() {
  flushing_ = false;
  if (stream_.closing()) return;
  write_out();
  if (state_ == State::failed && !broken_) stream_.shutdown();
  // In the next turn: the kernel of a fast client takes whatever a handler or a history has, without an end.
  if (socket_->waits_for_room() && socket_->has_room() && !std::exchange(resuming_, true)) {
    context_.end_of_turn.resume_next_turn(*this);
  }
  if (state_ == State::ended && exchange_ == nullptr && close_handler_ == CloseHandler::due) run_close_handler();
  go_on();
  settle();
}

void SocketConnection::next_turn() {
  resuming_ = false;
  if (stream_.closing()) return;
  socket_->resume_waiting();
  settle();
}

void SocketConnection::write_out() {
  if (!broken_) {
    write_notes();
    if (!out_.empty()) stream_.write(out_);
  }
  out_.clear();
  if (out_.capacity() > kKeptCapacity) out_.shrink_to_fit();
}

// What the ledger learns together with the bytes that are about to be written.
void SocketConnection::write_notes() {
  LedgerNotes& notes = stream_.notes();
  if (notes.entry() == nullptr) return;
  if (socket_->take_changed()) {
    static_cast<void>(
        notes.keep_state(socket_->state(), socket_->marks(), out_.empty() ? Counts::now : Counts::with_output));
    socket_->for_each_unwritten([](std::size_t, SocketTopic& topic) { topic.written(); });
    return;
  }
  socket_->for_each_unwritten([this, &notes](std::size_t index, SocketTopic& topic) {
    out_.empty() ? notes.mark_now(index, topic.mark()) : notes.mark(index, topic.mark());
    topic.written();
  });
}

}  // namespace pronghorn::worker
