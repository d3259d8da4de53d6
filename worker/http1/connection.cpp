// Requests and responses: see connection.h.
#include "worker/http1/connection.h"

#include <utility>

#include "common/log.h"
#include "worker/connection/protocol_upgrade.h"
#include "worker/guardian/verdict.h"
#include "worker/http/response_access.h"
#include "worker/http1/parser/head_parser.h"
#include "worker/runtime/exception_text.h"

namespace pronghorn::worker {

void Http1Connection::on_data(std::string_view bytes) {
  add(context_.row[Count::bytes_in], bytes.size());
  take_in(bytes);
}

void Http1Connection::take_in(std::string_view bytes) {
  if (end_ == End::lingering || end_ == End::closing) return drop(bytes.size());
  if (unparsed_ == nullptr) {
    if (!body_.expected()) rate_.restart(context_.timeouts.now());
    std::size_t used = 0;
    {
      const ResponseSender::Batch batch(sender_);
      used = consume(bytes);
    }
    if (used < bytes.size() && !stream_.closing()) {
      unparsed_ = std::make_unique<std::string>(bytes.substr(used));
    }
  } else {
    unparsed_->append(bytes);
    consume_unparsed(true);
  }
  stream_.notes().keep(bytes);
  if (waiting() == Waiting::for_body) context_.timeouts.wait(*this, Waiting::for_body);
  if ((body_.expected() || unparsed_ != nullptr) &&
      rate_.is_too_slow(bytes.size(), context_.timeouts.now(), context_.limits.min_receive_rate)) {
    return received_too_slowly();
  }
  settle();
}

void Http1Connection::consume_unparsed(bool just_read) {
  if (unparsed_ == nullptr || sender_.gathering()) return;
  stream_.notes().keep(*unparsed_);
  // Taken out, because handlers may lead back here while it is parsed.
  std::unique_ptr<std::string> bytes = std::move(unparsed_);
  std::size_t used = 0;
  arrival_.set_kept(!just_read);
  {
    const ResponseSender::Batch batch(sender_);
    used = consume(*bytes);
  }
  arrival_.set_kept(false);
  if (used == bytes->size() || stream_.closing()) return;
  // Moved, not copied: a head that arrives byte by byte would be copied as often.
  bytes->erase(0, used);
  unparsed_ = std::move(bytes);
}

// Parses and dispatches as much as is possible now; returns how many bytes that was. Within a batch.
std::size_t Http1Connection::consume(std::string_view bytes) {
  std::size_t used = 0;
  while (used < bytes.size() && !stream_.closing()) {
    const std::string_view rest = bytes.substr(used);
    std::size_t taken = 0;
    if (body_.expected()) {
      taken = take_body(rest);
    } else if (exchange_ == nullptr && end_ == End::open && !next_waits()) {
      taken = begin_request(rest);
    }
    if (taken == 0) break;
    used += taken;
    sender_.write_if_much();
  }
  is_followed_ = false;
  return used;
}

inline std::size_t Http1Connection::begin_request(std::string_view bytes) {
  Refusal refusal;
  const HeadReceiver::Step step = heads_.next(bytes, context_.limits, refusal);
  if (step.state == HeadReceiver::Step::State::complete) {
    is_followed_ = step.consumed < bytes.size();
    stream_.notes().begin_request(step.consumed, requests_ + 1);
    begin_exchange(bytes.substr(0, step.consumed), step.first_line);
  } else if (step.state == HeadReceiver::Step::State::refused) {
    stream_.notes().begin_request(bytes.size(), requests_);
    if (refusal.reason == kTlsOnPlainPort) report_tls();
    refuse(refusal);
    return bytes.size();
  } else if (step.state == HeadReceiver::Step::State::empty_lines) {
    stream_.notes().consume(step.consumed);
    stream_.notes().end_request();
  }
  return step.consumed;
}

// Once a minute: whoever has mixed up two ports finds it in the log.
void Http1Connection::report_tls() {
  constexpr std::uint64_t kEveryTicks = 60'000 / kTickMs;
  const std::uint64_t now = context_.timeouts.now();
  if (now < context_.next_tls_report) return;
  context_.next_tls_report = now + kEveryTicks;
  log_warning("TLS was sent to a port of plain HTTP: the client is answered 400; see https:// in --listen",
              {{"peer", peer_.client.address}});
}

void Http1Connection::open_exchange() {
  exchange_ = &context_.exchanges.open(
      {.owner = *this, .peer = peer_, .noted = stream_.notes().entry(), .state = context_.state});
  stream_.notes().begun_at(exchange_->started);
  sender_.begin_response();
  add(context_.row[Count::in_flight]);
}

inline void Http1Connection::begin_exchange(std::string_view head, std::size_t first_line) {
  open_exchange();
  ++requests_;
  Exchange& exchange = *exchange_;
  // Copied before it is parsed, so that every view that a handler takes lives as long as the request, in a coroutine or
  // in the producer of a stream. The copy costs less than finding out who needs it.
  exchange.head_bytes.assign(head);
  const Refusal refusal = parse_head(exchange.head_bytes, first_line, context_.limits, exchange.head);
  if (refusal.status != 0) return begins_http2(refusal) ? become_http2() : refuse(refusal);
  if (!exchange.head.keep_alive) end_after_response(End::asked);
  if (exchange.head.chunked || exchange.head.content_length.value_or(0) > 0) {
    body_.begin(exchange);
    rate_.restart(context_.timeouts.now());
  }
  exchange.surplus = surplus_;
  if (begun_ != nullptr) interrupt(exchange, stream_.notes().consumed() - head.size());
  if (arrival_.client_left(context_, stream_, exchange)) return close(Lost::client_left);
  context_.handler.handle(exchange);
}

// Whether the client speaks HTTP/2 by prior knowledge (RFC 9113 section 3.3): the connection begins with its preface,
// which looks like the head of a request that HTTP/1 refuses. Over TLS, ALPN decides.
bool Http1Connection::begins_http2(const Refusal& refusal) const noexcept {
  return refusal.status == 505 && context_.http2_cleartext && !peer_.https && requests_ == 1 &&
         exchange_->head_bytes == kHttp2Preface;
}

void Http1Connection::become_http2() {
  subtract(context_.row[Count::in_flight]);
  context_.exchanges.close(*std::exchange(exchange_, nullptr));
  end_ = End::upgraded;
  stream_.notes().end();  // the connection ends with this worker
  owner_.upgraded();
}

// Workers have died while they ran requests of this connection.
void Http1Connection::interrupt(Exchange& exchange, std::uint64_t position) noexcept {
  if (position >= begun_->until) {
    begun_.reset();
  } else if (begun_->how == Begun::guilty && position + 1 == begun_->until) {
    exchange.interrupted = Interrupted::guilty;
    exchange.keep_number(begun_->crashed);
  } else if (begun_->how == Begun::unknown) {
    exchange.interrupted = Interrupted::unknown;
  } else if (!may_repeat(exchange.head_bytes)) {
    exchange.interrupted = Interrupted::once;
  } else {
    exchange.interrupted = Interrupted::again;
  }
}

std::size_t Http1Connection::take_body(std::string_view bytes) {
  if (exchange_ != nullptr && body_.holds_back()) return 0;
  const BodyReceiver::Taken taken = body_.take(bytes, stream_.notes());
  if (exchange_ == nullptr && !body_.expected()) stream_.notes().end_request();
  switch (taken.outcome) {
    case BodyReceiver::Outcome::more:
      break;
    case BodyReceiver::Outcome::too_large:
      add(context_.row[Count::limit_body]);
      body_failed(413, "the body is larger than allowed here");
      break;
    case BodyReceiver::Outcome::malformed:
      add(context_.row[Count::bad_requests]);
      body_failed(400, "malformed chunked body");
      break;
    case BodyReceiver::Outcome::unwanted:
      end_after_response(End::decided);
      break;
  }
  return taken.bytes;
}

// What follows can no longer be framed, or is refused: the response to this request is the last.
void Http1Connection::body_failed(int status, const char* reason) {
  end_after_response(End::decided);
  body_.give_up();
  if (!request_running()) return;
  exchange_->body.fail(status, reason);
  // The handler is not asked whether it would have read the body: the request was malformed.
  if (request_running() && !exchange_->body_was_read && status == 400) {
    context_.handler.refuse(*exchange_, status, reason);
  }
}

void Http1Connection::want_body(Exchange& exchange) {
  if (&exchange != exchange_ || !body_.expected()) return;
  if (body_.continue_now()) {
    rate_.restart(context_.timeouts.now());
    send_interim("HTTP/1.1 100 Continue\r\n\r\n");
  }
  if (sender_.gathering()) return;
  consume_unparsed();
  if (!stream_.closing()) settle();
}

// Answers a request that no handler sees. The connection cannot be used any further.
void Http1Connection::refuse(const Refusal& refusal) {
  add(context_.row[Count::bad_requests]);
  if (refusal.limit) add(context_.row[*refusal.limit]);
  if (exchange_ == nullptr) {
    open_exchange();
    exchange_->head.clear();
  }
  end_after_response(End::decided);
  context_.handler.refuse(*exchange_, refusal.status, refusal.reason);
}

void Http1Connection::send_early_hints(Exchange& exchange, std::string_view head) {
  if (&exchange != exchange_ || exchange.responded || exchange.head.minor_version == 0) return;
  if (context_.early_hints) send_interim(head);
}

void Http1Connection::send_interim(std::string_view head) {
  add(context_.row[Count::responses_1xx]);
  sender_.send_interim(head);
}

void Http1Connection::respond(Exchange& exchange, Response&& response) {
  if (&exchange != exchange_ || exchange.responded) return;
  exchange.responded = true;
  if (ResponseAccess::is_upgrade(response)) return upgrade(exchange, response);
  decide_end();
  body_.drop_rest();
  if (sender_.gathering()) return send(exchange, response);
  {
    const ResponseSender::Batch batch(sender_);
    send(exchange, response);
  }
  if (stream_.closing()) return;
  consume_unparsed();
  settle();
}

// From here on the client's bytes belong to another protocol. The handler has checked that the request has no body.
// What the client is sent first goes with the response, in one write: if this worker dies right after that, the next
// one goes on behind it.
void Http1Connection::upgrade(Exchange& exchange, Response& response) {
  if (!ResponseAccess::upgrades(response)) {  // here, because other responses need not be asked for that
    exchange.responded = false;
    return respond(exchange, std::move(response));
  }
  upgrade_ = std::move(ResponseAccess::upgrade(response));
  end_ = End::upgraded;
  auto& next = static_cast<ProtocolUpgrade&>(*upgrade_);
  next.begin();
  stream_.notes().upgrade(next.state(), next.marks());
  owner_.upgraded();
  if (sender_.gathering()) {
    send(exchange, response);
    return sender_.append(next.first_bytes());
  }
  {
    const ResponseSender::Batch batch(sender_);
    send(exchange, response);
    sender_.append(next.first_bytes());
  }
  if (!stream_.closing()) settle();
}

Http1Connection::Upgraded Http1Connection::take_upgrade() noexcept {
  std::string unparsed = unparsed_ != nullptr ? std::move(*unparsed_) : std::string();
  return {.to = std::move(upgrade_), .unparsed = std::move(unparsed), .peer = std::move(peer_)};
}

void Http1Connection::send(Exchange& exchange, Response& response) {
  const ResponseContent content = apply_response_rules(response, exchange.head.method);
  const bool until_close = content.sent && !content.length && exchange.head.minor_version == 0;
  if (until_close) end_after_response(End::asked);
  const bool last = end_ != End::open && end_ != End::upgraded;
  if (last) stream_.notes().ends_with_request();
  const bool known_whole = !content.sent || content.length;
  if (known_whole && !body_.expected()) {
    stream_.notes().end_request();
  } else {
    stream_.notes().begin_response(sender_.gathered());
  }
  switch (sender_.send(*this, exchange, response, content, last)) {
    case ResponseSender::Sent::whole:
      return response_sent();
    case ResponseSender::Sent::short_file:
      report_short_file();
      return close();
    case ResponseSender::Sent::under_way:
    case ResponseSender::Sent::closed:
      return;
  }
}

void Http1Connection::report_short_file() {
  if (exchange_ == nullptr) return;
  log_error("a file was truncated while it was sent: the response is incomplete and the connection closed",
            {{"request", exchange_->id()}, {"route", exchange_->route}, {"target", exchange_->head.target}});
}

void Http1Connection::send_stream(std::string_view bytes) {
  if (!stream_.closing()) stream_.write(bytes);
  if (stream_.closing()) return;
  count_sent();
  // A client that has disconnected looks like one that has only finished sending: see check_deadline().
  if (client_ == ClientSide::finished) context_.timeouts.wait(*this, Waiting::for_handler);
  update_waiting();
}

void Http1Connection::stream_ended(std::exception_ptr error) {
  if (stream_.closing()) return;
  if (error != nullptr) {
    add(context_.row[Count::handler_errors]);
    log_error("a streamed response failed: it is incomplete and the connection closed",
              {{"request", exchange_->id()}, {"route", exchange_->route}, {"error", describe(error)}});
    return close();
  }
  sender_.finish_produced();
  if (stream_.closing()) return;
  response_sent();
  if (sender_.gathering()) return;
  stream_.notes().settle(stream_.queued() == 0);
  consume_unparsed();
  settle();
}

// The whole response has been handed to the stream.
void Http1Connection::response_sent() {
  record_request(context_.row, context_.access_log, *exchange_, sender_.status(), sender_.response_bytes());
  finish_exchange();
}

// A response that has been written is none of its business: the client may have received it and left.
bool Http1Connection::client_left() const noexcept {
  return sender_.gathering() && sender_.gathered() != 0 && stream_.waited().peer == PeerState::gone;
}

inline void Http1Connection::finish_exchange() {
  Exchange* const exchange = std::exchange(exchange_, nullptr);
  subtract(context_.row[Count::in_flight]);
  if (!body_.expected()) stream_.notes().end_request();
  if (exchange->running.valid()) return context_.end_of_turn.close(*exchange);
  context_.exchanges.close(*exchange);
}

// The connection ends: the handler is destroyed at the end of the turn, and what it still answers is discarded.
void Http1Connection::cancel_exchange(Lost why) noexcept {
  sender_.cancel();
  if (exchange_ == nullptr) return;
  record_lost_request(context_.row, context_.access_log, *exchange_, why, sender_.response_bytes());
  Exchange* const exchange = std::exchange(exchange_, nullptr);
  exchange->responded = true;
  exchange->owner = &context_.nobody;
  subtract(context_.row[Count::in_flight]);
  context_.end_of_turn.close(*exchange);
}

}  // namespace pronghorn::worker
