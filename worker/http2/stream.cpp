#include "worker/http2/stream.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "worker/http/response_access.h"
#include "worker/http/response_rules.h"
#include "worker/http2/connection.h"
#include "worker/http2/protocol/priority.h"
#include "worker/http2/tunnel.h"
#include "worker/runtime/exception_text.h"

namespace pronghorn::worker {
namespace {

// Of a body that nobody reads, up to this much is received before the response is complete. The client is held back
// then, and when the response is complete the stream is reset.
constexpr std::size_t kMaxDropped = 256 * 1024;
constexpr std::uint64_t kLingerMs = 3000;  // for a client to end a tunnel that the server has ended

}  // namespace

class Http2Stream::Produced final : public StreamedResponse {
 public:
  Produced(Http2Stream& stream, EndOfTurn& end_of_turn, std::unique_ptr<Response::Producer> producer,
           bool ends_on_drain)
      : StreamedResponse(end_of_turn, std::move(producer), {.chunked = false, .ends_on_drain = ends_on_drain}),
        stream_(stream) {}

 protected:
  void send(std::string_view bytes) override { stream_.send_produced(bytes); }
  void ended(std::exception_ptr error) override { stream_.producer_ended(error); }
  [[nodiscard]] std::size_t queued() const noexcept override { return stream_.available(); }

 private:
  Http2Stream& stream_;
};

Http2Stream::~Http2Stream() = default;

// --- The request ----------------------------------------------------------------------------------------------------

void Http2Stream::begin(Exchange& exchange, bool last) {
  exchange_ = &exchange;
  body_open_ = !last;
  heard_ = connection_.now();
  if (exchange.head.tunnel) {
    tunnel_ = &connection_.open_tunnel(*this);
    if (last) tunnel_->finish();
    return;
  }
  if (last) return;
  awaits_continue_ = exchange.head.expect_continue;
  exchange.head.chunked = !exchange.head.content_length;
  exchange.body.begin(exchange.head.content_length.value_or(0));
  rate_.restart(heard_);
}

void Http2Stream::count_in_flight() noexcept {
  in_flight_ = true;
  add(connection_.context().row[Count::in_flight]);
}

void Http2Stream::receive(std::string_view bytes) {
  unread_ += bytes.size();
  awaits_continue_ = false;
  heard_ = connection_.now();
  if (tunnel_ != nullptr) return tunnel_->receive(bytes);
  if (!request_running() || gave_up_) return drop(bytes.size());
  RequestBody& body = exchange_->body;
  if (!body.has_room_for(bytes.size())) {
    add(connection_.context().row[Count::limit_body]);
    body_failed(413, "the body is larger than allowed here");
    return drop(bytes.size());
  }
  if (rate_.is_too_slow(bytes.size(), heard_, connection_.context().limits.min_receive_rate)) {
    add(connection_.context().row[Count::limit_receive_rate]);
    return body_too_slow("the request arrives too slowly");
  }
  body.push(bytes);
  // A handler that does not read yet may do so later, or never: its client may fill the window, no more.
  if (exchange_ != nullptr && exchange_->body_was_read && body.wants_more()) consume();
}

void Http2Stream::finish_body() {
  body_open_ = false;
  awaits_continue_ = false;
  if (tunnel_ != nullptr) return tunnel_->finish();
  if (request_running() && !gave_up_) exchange_->body.finish();
}

void Http2Stream::drop(std::size_t bytes) noexcept {
  dropped_ += bytes;
  if (dropped_ <= kMaxDropped) consume();
}

void Http2Stream::consume() noexcept { connection_.consume(id_, std::exchange(unread_, 0)); }

void Http2Stream::want_body(Exchange& exchange) {
  if (&exchange != exchange_ || !receives_body()) return;
  if (std::exchange(awaits_continue_, false)) send_interim(100, {});
  if (!std::exchange(widened_, true) &&
      exchange.head.content_length.value_or(UINT64_MAX) > Http2Session::kUnreadWindow) {
    connection_.widen(id_);
  }
  heard_ = connection_.now();
  rate_.resume(heard_);
  if (exchange.body.wants_more()) consume();
}

// The rest of the body is refused, or will not come.
void Http2Stream::body_failed(int status, const char* reason) {
  gave_up_ = true;
  if (request_running()) exchange_->body.fail(status, reason);
}

void Http2Stream::body_too_slow(const char* reason) {
  add(connection_.context().row[Count::timeouts]);
  body_failed(408, reason);
  if (request_running()) connection_.context().handler.refuse(*exchange_, 408, reason);
}

void Http2Stream::priority_updated() noexcept {
  if (!priority_.empty()) connection_.prioritise(id_, priority_, kUsualPriority);
}

// Whether the handler waits for bytes that the client can send now.
bool Http2Stream::awaits_data() const noexcept {
  return receives_body() && !awaits_continue_ && !gave_up_ && request_running() && exchange_->body_was_read &&
         exchange_->body.wants_more();
}

// --- The response ---------------------------------------------------------------------------------------------------

void Http2Stream::respond(Exchange& exchange, Response&& response) {
  if (&exchange != exchange_ || exchange.responded) return;
  exchange.responded = true;
  const bool tunnels = accept_tunnel(response);
  if (body_open_ && !tunnels) drop(0);
  const ResponseContent content = tunnels ? ResponseContent{} : apply_response_rules(response, exchange.head.method);
  status_ = response.status();
  const ResponseFields::Ids ids{
      .request_id = exchange.id(),
      .traceparent = exchange.caller_trace().empty() ? std::string_view() : exchange.traceparent()};
  const auto fields = connection_.fields().of_response(response, content, ids);
  if (!ResponseAccess::fields(response).empty()) {
    if (const auto priority = response.header("Priority")) {
      priority_ = *priority;
      connection_.prioritise(id_, priority_, asked_priority(exchange.head));
    }
  }
  const bool produced = content.sent && ResponseAccess::producer(response) != nullptr;
  const bool has_body = tunnels || produced || (content.sent && content.length.value_or(0) != 0);
  if (!connection_.respond(*this, fields, has_body)) return fail(NGHTTP2_INTERNAL_ERROR);
  if (produced) return begin_produced(response);
  if (!has_body || tunnels) return;
  file_ = std::move(ResponseAccess::file(response));
  if (file_ != nullptr) return;
  bytes_ = std::move(ResponseAccess::body(response));
  connection_.owes(bytes_.size());
}

void Http2Stream::begin_produced(Response& response) {
  const bool ends_on_drain = ResponseAccess::ends_on_drain(response);
  HttpContext& context = connection_.context();
  ended_ = false;
  produced_ = std::make_unique<Produced>(*this, context.end_of_turn, std::move(ResponseAccess::producer(response)),
                                         ends_on_drain);
  if (ends_on_drain && context.draining) return producer_ended(nullptr);
  produced_->start(*exchange_);
}

void Http2Stream::send_produced(std::string_view bytes) {
  if (bytes.empty()) return;
  if (available() == 0) patience_.restart();
  bytes_.append(bytes);
  connection_.owes(bytes.size());
  resume_output();
}

void Http2Stream::producer_ended(const std::exception_ptr& error) {
  HttpContext& context = connection_.context();
  if (error != nullptr) {
    add(context.row[Count::handler_errors]);
    log_error("a streamed response failed: it is incomplete and its stream reset",
              {{"request", exchange_->id()}, {"route", exchange_->route}, {"error", describe(error)}});
    produced_->detach();
    context.end_of_turn.destroy(std::move(produced_));
    return fail(NGHTTP2_INTERNAL_ERROR);
  }
  produced_->finish();
  trailers_ = produced_->trailers();
  context.end_of_turn.destroy(std::move(produced_));
  if (available() == 0) patience_.restart();
  end_output();
}

std::size_t Http2Stream::available() const noexcept {
  if (tunnel_ != nullptr) return tunnel_->queued();
  return file_ != nullptr ? static_cast<std::size_t>(file_->length) : owed();
}

ssize_t Http2Stream::offer(std::size_t size, std::uint32_t& flags) {
  const std::size_t left = available();
  if (left == 0 && !ended_) {
    deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  const std::size_t taken = std::min(left, size);
  flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (taken == left && ended_) {
    flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!trailers_.empty()) {
      flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      connection_.send_trailers(id_, trailers_);
    }
  }
  return static_cast<ssize_t>(taken);
}

bool Http2Stream::write(std::string& out, std::size_t size) {
  patience_.took(size, connection_.context().limits.min_receive_rate);
  if (tunnel_ != nullptr) {
    tunnel_->take(out, size);
    return true;
  }
  if (file_ != nullptr) {
    if (!file_->file->append(out, file_->offset, size)) {
      report_short_file();
      failed_ = true;
      return false;
    }
    file_->offset += size;
    file_->length -= size;
    return true;
  }
  out.append(bytes_, bytes_sent_, size);
  bytes_sent_ += size;
  connection_.has_paid(size);
  // Its client may never catch up with a producer. Whenever half of it was sent, so each byte moves about once.
  if (produced_ != nullptr && bytes_sent_ >= available()) {
    bytes_.erase(0, bytes_sent_);
    bytes_sent_ = 0;
  }
  return true;
}

void Http2Stream::sent(std::size_t size, bool last) {
  response_bytes_ += size;
  end_sent_ = last;
  if (exchange_ == nullptr || !(last || tunnelled_)) return;
  HttpContext& context = connection_.context();
  const std::uint64_t before = context.row[Count::requests].load(std::memory_order_relaxed);
  record_request(context.row, context.access_log, *exchange_, status_, response_bytes_);
  add(context.row[Count::http2_requests], context.row[Count::requests].load(std::memory_order_relaxed) - before);
  finish_exchange();
  // Whatever the client still sends of its body is of no use (RFC 9113 section 8.1).
  if (body_open_ && !tunnelled_) connection_.reset(id_, NGHTTP2_NO_ERROR);
}

// Frames are gathered, and written after sent().
bool Http2Stream::client_left() const noexcept { return connection_.client_left(); }

void Http2Stream::block_not_sent() noexcept {
  if (exchange_ == nullptr || failed_) return;
  log_error("the fields of a response are too large for HTTP/2: its stream was reset",
            {{"request", exchange_->id()}, {"route", exchange_->route}});
  fail(NGHTTP2_INTERNAL_ERROR);
}

void Http2Stream::finish_exchange() {
  HttpContext& context = connection_.context();
  Exchange& exchange = *std::exchange(exchange_, nullptr);
  exchange.owner = &context.nobody;
  if (std::exchange(in_flight_, false)) subtract(context.row[Count::in_flight]);
  if (exchange.running.valid()) return context.end_of_turn.close(exchange);
  context.exchanges.close(exchange);
}

void Http2Stream::resume_producer() {
  if (produced_ != nullptr) produced_->drained();
}

void Http2Stream::send_early_hints(Exchange& exchange, std::string_view head) {
  if (&exchange != exchange_ || exchange.responded || !connection_.context().early_hints) return;
  send_interim(103, head.substr(std::min(head.find("\r\n") + 2, head.size())));
}

void Http2Stream::send_interim(int status, std::string_view lines) {
  add(connection_.context().row[Count::responses_1xx]);
  while (lines.ends_with("\r\n\r\n")) lines.remove_suffix(2);
  if (lines == "\r\n") lines = {};
  connection_.send_interim(id_, status, lines);
}

// --- Its end --------------------------------------------------------------------------------------------------------

void Http2Stream::check(std::chrono::steady_clock::time_point now) {
  if (left_ && !failed_ && (connection_.now() - heard_) * kTickMs >= kLingerMs) {
    left_ = false;
    connection_.reset(id_, end_sent_ ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
  }
  if (exchange_ == nullptr || failed_) return;
  HttpContext& context = connection_.context();
  const HttpLimits& limits = context.limits;
  if (!exchange_->responded) {
    if (now >= exchange_->deadline) {
      add(context.row[Count::limit_deadline]);
      return context.handler.deadline_passed(*exchange_);
    }
    if (awaits_data() && connection_.holds_back()) {  // bodies of other streams, which nobody reads, fill the window
      heard_ = connection_.now();
      rate_.resume(heard_);
    }
    const auto silent_ms = static_cast<std::int64_t>((connection_.now() - heard_) * kTickMs);
    if (awaits_data() && limits.body_timeout.count() != 0 && silent_ms >= limits.body_timeout.count()) {
      add(context.row[Count::limit_body_time]);
      body_too_slow("the body of the request did not arrive in time");
    }
    return;
  }
  // The end of the body waits for the window, too, if it comes after the last byte.
  if (!waits_for_client()) return;
  const bool blocked = connection_.blocked(id_);
  if (blocked || connection_.blocked(0)) connection_.wait(patience_);
  // Where other streams use the window of the connection, they may leave nothing for this one.
  if (!connection_.is_over(patience_) || !(blocked || connection_.patience_is_over())) return;
  add(context.row[Count::limit_write_time]);
  add(context.row[Count::timeouts]);
  fail(NGHTTP2_CANCEL);
}

void Http2Stream::drain() {
  if (produced_ == nullptr || !produced_->ends_on_drain()) return;
  produced_->stop();
  producer_ended(nullptr);
}

// The response cannot be completed.
void Http2Stream::fail(std::uint32_t error) noexcept {
  failed_ = true;
  connection_.reset(id_, error);
}

void Http2Stream::report_short_file() noexcept {
  if (exchange_ == nullptr) return;
  log_error("a file was truncated while it was sent: the response is incomplete and its stream reset",
            {{"request", exchange_->id()}, {"route", exchange_->route}, {"target", exchange_->head.target}});
}

void Http2Stream::close(Lost why) noexcept {
  if (tunnel_ != nullptr) std::exchange(tunnel_, nullptr)->stream_ended(end_sent_ && !body_open_);
  HttpContext& context = connection_.context();
  if (produced_ != nullptr) {
    produced_->detach();
    context.end_of_turn.destroy(std::move(produced_));
  }
  connection_.consume_unread(std::exchange(unread_, 0));
  connection_.has_paid(owed());
  if (exchange_ == nullptr) return;
  record_lost_request(context.row, context.access_log, *exchange_, failed_ ? Lost::cut : why, response_bytes_);
  Exchange& exchange = *std::exchange(exchange_, nullptr);
  exchange.responded = true;
  exchange.owner = &context.nobody;
  if (std::exchange(in_flight_, false)) subtract(context.row[Count::in_flight]);
  context.end_of_turn.close(exchange);
}

}  // namespace pronghorn::worker
