#include "worker/http/http1_connection.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "worker/http/head_guard.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMaxPipelined = 64 * 1024;   // bytes kept of requests that wait for the one before
constexpr std::size_t kMaxGathered = 64 * 1024;    // bytes of responses to one read before they are written
constexpr std::uint64_t kMaxDropped = 256 * 1024;  // of a body that nobody wants, before the connection is given up
constexpr std::uint64_t kRateWindowMs = 5000;      // over which min_receive_rate is measured

}  // namespace

Http1Connection::Http1Connection(HttpContext& context, ConnectionOwner& owner, int fd, bool is_unix, Peer peer,
                                 bool surplus)
    : context_(context),
      owner_(owner),
      peer_(std::move(peer)),
      stream_(context.loop, fd, is_unix, context.read_buffer, *this),
      opened_(context.timeouts.now()),
      surplus_(surplus) {}

Http1Connection::~Http1Connection() { context_.timeouts.remove(*this); }

void Http1Connection::start() {
  if (!stream_.ok()) return close();
  stream_.read_start();
  context_.timeouts.wait(*this, Waiting::for_head);
}

// --- input ---

void Http1Connection::on_data(std::string_view bytes) {
  add(context_.row.bytes_in, bytes.size());
  if (end_ == End::lingering || end_ == End::after_writes) return;
  if (unparsed_.empty()) {
    if (body_ == Body::none) restart_rate();
    OutputLease lease(context_);
    output_ = &*lease;
    const std::size_t used = consume(bytes);
    output_ = nullptr;
    if (!stream_.closing()) {
      stream_.write(*lease);
      unparsed_.assign(bytes.substr(used));
    }
  } else {
    unparsed_.append(bytes);
    consume_unparsed();
  }
  if (waiting() == Waiting::for_body) context_.timeouts.wait(*this, Waiting::for_body);
  if ((body_ != Body::none || !unparsed_.empty()) && is_too_slow(bytes.size())) return received_too_slowly();
  settle();
}

void Http1Connection::consume_unparsed() {
  if (unparsed_.empty() || output_ != nullptr) return;
  // Taken out, because handlers may lead back here while it is parsed.
  std::string bytes = std::exchange(unparsed_, {});
  OutputLease lease(context_);
  output_ = &*lease;
  const std::size_t used = consume(bytes);
  output_ = nullptr;
  if (stream_.closing()) return;
  stream_.write(*lease);
  // Moved, not copied: a head that comes byte by byte would be copied as often.
  if (used == bytes.size()) return;
  bytes.erase(0, used);
  unparsed_ = std::move(bytes);
}

// Parses and dispatches as much as can be now; returns how much that was.
std::size_t Http1Connection::consume(std::string_view bytes) {
  std::size_t used = 0;
  while (used < bytes.size() && !stream_.closing() && (end_ == End::open || end_ == End::after_response)) {
    const std::string_view rest = bytes.substr(used);
    std::size_t taken = 0;
    if (body_ != Body::none) {
      taken = take_body(rest);
    } else if (exchange_ == nullptr && end_ == End::open && !owes_too_much()) {
      taken = begin_request(rest);
    }
    if (taken == 0) break;
    used += taken;
    if (output_->size() > kMaxGathered) {
      stream_.write(*output_);
      output_->clear();
    }
  }
  more_input_ = false;
  return used;
}

// Empty lines before a request line are tolerated (RFC 9112 section 2.2).
std::size_t Http1Connection::skip_empty_lines(std::string_view bytes) noexcept {
  std::size_t skipped = 0;
  while (bytes.substr(skipped).starts_with("\r\n")) skipped += 2;
  return skipped;
}

std::size_t Http1Connection::begin_request(std::string_view bytes) {
  if (scanned_ == 0 && bytes.front() == '\r') {
    if (const std::size_t skipped = skip_empty_lines(bytes); skipped > 0) return skipped;
    if (bytes.size() == 1) return 0;
  }
  const HeadScan scan = scan_head(bytes, scanned_, first_line_);
  if (scan.state == HeadScan::State::incomplete) {
    scanned_ = scan.position;
    first_line_ = scan.first_line;
    return head_incomplete(bytes);
  }
  scanned_ = 0;
  first_line_ = std::string_view::npos;
  if (scan.state == HeadScan::State::malformed) {
    refuse({400, "malformed line end, folding or control character in the head"});
    return bytes.size();
  }
  more_input_ = scan.position < bytes.size();
  begin_exchange(bytes.substr(0, scan.position));
  return scan.position;
}

std::size_t Http1Connection::head_incomplete(std::string_view bytes) {
  const HttpLimits& limits = context_.limits;
  if (first_line_ == std::string_view::npos) {
    // The last byte may be the CR that ends a line of just the allowed length.
    if (limits.max_request_line != 0 && bytes.size() > std::size_t{limits.max_request_line} + 1) {
      refuse({414, "request line too long", LimitHit::request_line});
      return bytes.size();
    }
  } else if (limits.max_header_bytes != 0 && bytes.size() - first_line_ > limits.max_header_bytes) {
    refuse({431, "header fields too large", LimitHit::header_bytes});
    return bytes.size();
  }
  return 0;
}

void Http1Connection::begin_exchange(std::string_view head) {
  Exchange& exchange = *context_.exchanges.acquire();
  exchange.owner = this;
  exchange.peer = &peer_;
  exchange.state = context_.state;
  exchange.started = std::chrono::steady_clock::now();
  exchange_ = &exchange;
  sent_before_ = bytes_before_response();
  add(context_.row.in_flight);
  ++requests_;

  // Copied before it is parsed, so that every view that a handler takes lives as long as the request, wherever it ends
  // up: in a coroutine, or in the producer of a stream. It costs less than finding out who needs it.
  exchange.head_bytes.assign(head);
  const Refusal refusal = parse_head(exchange.head_bytes, context_.limits, exchange.head);
  if (refusal.status != 0) return refuse(refusal);

  keep_alive_ = exchange.head.keep_alive;
  if (exchange.head.chunked || exchange.head.content_length.value_or(0) > 0) {
    body_ = exchange.head.chunked ? Body::chunked : Body::length;
    body_left_ = exchange.head.content_length.value_or(0);
    body_received_ = 0;
    dropped_ = 0;
    decoder_.reset();
    continue_wanted_ = exchange.head.expect_continue;
    exchange.body.begin();
    restart_rate();
  }
  exchange.surplus = surplus_;
  if (surplus_) keep_alive_ = false;
  context_.handler.handle(exchange);
}

std::size_t Http1Connection::take_body(std::string_view bytes) {
  if (receiving_paused()) return 0;
  if (exchange_ != nullptr && exchange_->body.failed()) {  // what follows cannot be framed, or is not wanted
    dropped_ += bytes.size();
    return bytes.size();
  }
  if (body_ == Body::chunked) return take_chunked(bytes);
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, bytes.size()));
  body_left_ -= size;
  const bool last = body_left_ == 0;
  deliver(bytes.substr(0, size));
  if (last) body_ended();
  return size;
}

std::size_t Http1Connection::take_chunked(std::string_view bytes) {
  const ChunkedDecoder::Step step = decoder_.next(bytes);
  switch (step.state) {
    case ChunkedDecoder::State::data:
      body_received_ += step.data.size();
      if (exchange_ != nullptr && !exchange_->responded && exchange_->max_body != 0 &&
          body_received_ > exchange_->max_body) {
        add(context_.row, LimitHit::body);
        body_failed(413, "the body is larger than allowed here");
        return bytes.size();
      }
      deliver(step.data);
      break;
    case ChunkedDecoder::State::done:
      body_ended();
      break;
    case ChunkedDecoder::State::malformed:
      add(context_.row.bad_requests);
      body_failed(400, "malformed chunked body");
      return bytes.size();
    case ChunkedDecoder::State::needs_more:
      break;
  }
  return step.consumed;
}

void Http1Connection::deliver(std::string_view data) {
  continue_wanted_ = false;
  if (exchange_ != nullptr && !exchange_->responded) {
    exchange_->body.push(data);
    return;
  }
  dropped_ += data.size();
  // While the response is on its way the client is held back instead: see receiving_paused().
  if (dropped_ > kMaxDropped) end_ = exchange_ != nullptr ? End::after_response : End::lingering;
}

void Http1Connection::body_ended() {
  body_ = Body::none;
  if (exchange_ != nullptr && !exchange_->responded) exchange_->body.finish();
}

// What follows cannot be framed any more, or is not wanted: the response of this request is the last.
void Http1Connection::body_failed(int status, const char* reason) {
  if (exchange_ == nullptr || exchange_->responded) {
    end_ = End::lingering;
    return;
  }
  keep_alive_ = false;
  end_ = End::after_response;
  exchange_->body.fail(status, reason);
  // A handler that does not read its body is not asked: the request was malformed.
  if (exchange_ != nullptr && !exchange_->responded && !exchange_->body_was_read && status == 400) {
    respond(*exchange_, problem(status, reason));
  }
}

// A handler that does not read holds the client back.
bool Http1Connection::receiving_paused() const noexcept {
  if (exchange_ == nullptr || body_ == Body::none) return false;
  return exchange_->responded ? dropped_ > kMaxDropped : !exchange_->body.wants_more();
}

void Http1Connection::want_body(Exchange& exchange) {
  if (&exchange != exchange_ || body_ == Body::none) return;
  if (continue_wanted_) {
    continue_wanted_ = false;
    restart_rate();
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    add(context_.row.responses[0]);
    if (output_ != nullptr) {
      output_->append(kContinue);
    } else {
      stream_.write(kContinue);
    }
  }
  if (output_ == nullptr) {
    consume_unparsed();
    if (!stream_.closing()) settle();
  }
}

void Http1Connection::on_end() {
  half_closed_ = true;
  // A client that has only shut its sending side down still gets the answer to what it asked, if that comes soon; one
  // that has gone looks the same from here.
  if (body_ != Body::none) {
    if (exchange_ != nullptr && !exchange_->responded) return close();  // the request will never be whole
    body_ = Body::none;
    if (end_ == End::open) end_ = End::after_response;
  }
  if (end_ == End::lingering) end_ = End::after_writes;  // it was for its sake
  last_progress_ = stream_.progress();
  settle();
  if (waiting() == Waiting::for_handler) context_.timeouts.wait(*this, Waiting::for_handler);  // from now on
}

// --- output ---

bool Http1Connection::last_response() noexcept {
  if (!keep_alive_ || context_.draining || end_ != End::open || continue_wanted_) return true;
  if (half_closed_ && !more_input_ && unparsed_.empty()) return true;
  const HttpLimits& limits = context_.limits;
  if (limits.keep_alive_requests != 0 && requests_ >= limits.keep_alive_requests) {
    add(context_.row, LimitHit::keep_alive_requests);
    return true;
  }
  const auto age = static_cast<std::int64_t>((context_.timeouts.now() - opened_) * kTickMs);
  if (limits.keep_alive_age.count() != 0 && age >= limits.keep_alive_age.count()) {
    add(context_.row, LimitHit::keep_alive_age);
    return true;
  }
  return false;
}

std::uint64_t Http1Connection::bytes_before_response() const noexcept {
  return stream_.bytes_sent() + stream_.queued() + (output_ != nullptr ? output_->size() : 0);
}

// A client that sends requests and does not read the answers would fill our memory.
bool Http1Connection::owes_too_much() noexcept {
  const std::uint64_t limit = context_.limits.max_queued_output;
  if (limit == 0 || stream_.queued() <= limit) return false;
  if (!owing_) add(context_.row, LimitHit::queued_output);
  owing_ = true;
  return true;
}

// Answers a request that no handler sees. The connection cannot be used any further.
void Http1Connection::refuse(const Refusal& refusal) {
  add(context_.row.bad_requests);
  if (refusal.limit != LimitHit::count) add(context_.row, refusal.limit);
  if (exchange_ == nullptr) {
    exchange_ = context_.exchanges.acquire();
    exchange_->head.clear();
    exchange_->owner = this;
    exchange_->peer = &peer_;
    exchange_->started = std::chrono::steady_clock::now();
    sent_before_ = bytes_before_response();
    add(context_.row.in_flight);
  }
  keep_alive_ = false;
  end_ = End::after_response;
  respond(*exchange_, problem(refusal.status, refusal.reason));
  if (end_ == End::after_writes || end_ == End::after_response) end_ = End::lingering;
}

void Http1Connection::respond(Exchange& exchange, Response&& response) {
  if (&exchange != exchange_ || exchange.responded) return;
  exchange.responded = true;
  if (response.status() < 200 || response.status() > 599) response = problem(500);
  if (body_ != Body::none && body_left_ > kMaxDropped) keep_alive_ = false;
  if (last_response()) end_ = End::after_response;
  const bool head_request = exchange.head.method == "HEAD";
  if (output_ != nullptr) {
    send(response, head_request);
    return;
  }
  {
    OutputLease lease(context_);
    output_ = &*lease;
    send(response, head_request);
    output_ = nullptr;
    if (stream_.closing()) return;
    stream_.write(*lease);
  }
  consume_unparsed();
  settle();
}

void Http1Connection::send(Response& response, bool head_request) {
  const int status = response.status();
  const bool bodiless = status == 204 || status == 304;
  auto& file = ResponseAccess::file(response);
  auto& producer = ResponseAccess::producer(response);
  const bool http_1_0 = exchange_->head.minor_version == 0;

  ResponseFraming framing;
  framing.chunked = producer != nullptr && !http_1_0 && !bodiless;
  if (producer != nullptr && http_1_0) end_ = End::after_response;  // the end of the body is the end of the connection
  if (producer == nullptr && !bodiless) {
    framing.content_length = file != nullptr ? file->length : response.body().size();
  }
  framing.close = end_ != End::open;
  framing.keep_alive_1_0 = http_1_0 && !framing.close;
  append_response_head(*output_, response, framing);
  stream_status_ = status;
  if (head_request || bodiless) return response_sent(status);
  if (producer != nullptr) return begin_stream(response, framing.chunked);
  if (file != nullptr) return send_file(std::move(file), *output_);
  append_body(*output_, response.body());
  if (stream_.closing()) return;  // the client has gone
  response_sent(status);
}

void Http1Connection::append_body(std::string& output, const std::string& body) {
  constexpr std::size_t kCopied = 32 * 1024;
  if (body.size() <= kCopied) {
    output.append(body);
    return;
  }
  stream_.write(output, body);
  output.clear();
}

void Http1Connection::send_file(std::unique_ptr<ResponseAccess::FilePart> part, std::string& output) {
  constexpr std::uint64_t kCopied = 32 * 1024;  // below, a copy costs less than one more system call
  if (part->file->in_memory() || part->length <= kCopied) {
    const bool whole = part->file->append(output, part->offset, static_cast<std::size_t>(part->length));
    return whole ? response_sent(stream_status_) : close();  // shorter than announced
  }
  // Not held back to leave with the file's first bytes (MSG_MORE): that doubles the kernel's work for 1 MiB.
  stream_.write(output);
  output.clear();
  stream_.write_file(std::move(part));
  if (stream_.closing()) return;
  if (stream_.queued() == 0) return response_sent(stream_status_);
  sending_file_ = true;
}

void Http1Connection::begin_stream(Response& response, bool chunked) {
  const bool ends_on_drain = ResponseAccess::ends_on_drain(response);
  streamed_ =
      std::make_unique<StreamedResponse>(*this, std::move(ResponseAccess::producer(response)), chunked, ends_on_drain);
  stream_.write(*output_);
  output_->clear();
  if (stream_.closing()) return;  // the client has gone, and with it the stream
  if (ends_on_drain && context_.draining) return stream_ended(nullptr);
  streamed_->start(*exchange_);
}

void Http1Connection::send_stream(std::string_view bytes) {
  if (!stream_.closing()) stream_.write(bytes);
  if (stream_.closing()) return;
  count_sent();
  // A client that has gone looks like one that has only shut its sending side down: see check_deadline().
  if (half_closed_) context_.timeouts.wait(*this, Waiting::for_handler);
  update_waiting();
}

void Http1Connection::flush_at_end_of_turn(StreamedResponse& stream) { context_.unflushed_streams.push_back(&stream); }

void Http1Connection::continue_next_turn(StreamedResponse& stream) { context_.yielding_streams.push_back(&stream); }

void Http1Connection::stream_ended(std::exception_ptr error) {
  if (stream_.closing()) return;
  if (error != nullptr) {
    // Cut, so that the client cannot take a part for the whole.
    std::string what = "unknown exception";
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& exception) {
      what = exception.what();
    } catch (...) {
    }
    add(context_.row.handler_errors);
    log_error("a streamed response failed",
              {{"request", exchange_->id()}, {"route", exchange_->route}, {"error", what}});
    return close();
  }
  streamed_->finish();
  if (stream_.closing()) return;
  context_.ended_streams.push_back(std::move(streamed_));
  response_sent(stream_status_);
  if (output_ != nullptr) return;
  consume_unparsed();
  settle();
}

// The whole response has been handed to the socket.
void Http1Connection::response_sent(int status) {
  record(status);
  finish_exchange();
}

void Http1Connection::record(int status) {
  WorkerRow& row = context_.row;
  const auto elapsed = std::chrono::steady_clock::now() - exchange_->started;
  const auto microseconds =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count());
  add(row.requests);
  add(row.responses[static_cast<std::size_t>(status / 100 - 1)]);
  row.latency.record(microseconds);
  if (exchange_->route_index < kMaxRoutes) {
    RouteRow& route = row.routes[exchange_->route_index];
    add(route.requests);
    if (status >= 500) add(route.errors);
    route.latency.record(microseconds);
  }
  if (context_.access_log.enabled()) {
    context_.access_log.add(*exchange_, status, bytes_before_response() - sent_before_, microseconds);
  }
}

void Http1Connection::finish_exchange() {
  Exchange* exchange = std::exchange(exchange_, nullptr);
  subtract(context_.row.in_flight);
  sending_file_ = false;
  idle_again_ = true;
  if (exchange->running.valid()) {
    context_.ended_exchanges.push_back(exchange);
    return;
  }
  context_.exchanges.release(exchange);
}

// The client has gone: the handler is destroyed at the end of the turn, and whatever it still says goes nowhere.
void Http1Connection::cancel_exchange() noexcept {
  if (streamed_ != nullptr) {
    streamed_->detach();
    context_.ended_streams.push_back(std::move(streamed_));
  }
  if (exchange_ == nullptr) return;
  Exchange* exchange = std::exchange(exchange_, nullptr);
  exchange->responded = true;
  exchange->owner = &context_.nobody;
  subtract(context_.row.in_flight);
  context_.ended_exchanges.push_back(exchange);
}

void Http1Connection::on_drained() {
  owing_ = false;
  if (end_ == End::after_writes) return close();
  if (sending_file_) response_sent(stream_status_);
  if (streamed_ != nullptr) streamed_->drained();
  if (stream_.closing()) return;
  consume_unparsed();
  settle();
}

void Http1Connection::on_error() { close(); }

void Http1Connection::on_closed() { owner_.closed(*this); }

void Http1Connection::close() noexcept {
  if (stream_.closing()) return;
  cancel_exchange();
  context_.timeouts.remove(*this);
  count_sent();
  stream_.close();
}

// --- time ---

// After whatever happened: closes what has to be, reads or holds back, and begins the right timeout.
void Http1Connection::settle() {
  if (stream_.closing()) return;
  count_sent();
  end_if_last();
  if (stream_.closing()) return;
  const bool hold_back = receiving_paused() || unparsed_.size() > kMaxPipelined || owes_too_much();
  if (hold_back && end_ != End::lingering) {
    stream_.read_stop();
  } else if (!half_closed_) {
    if (!stream_.reading()) restart_rate();  // it was us who waited
    stream_.read_start();
  }
  update_waiting();
}

void Http1Connection::end_if_last() {
  if (exchange_ != nullptr) return;
  // Of a client that sends no more, what is left when all is answered is not a whole request.
  if (half_closed_ && end_ == End::open && (unparsed_.empty() || stream_.queued() == 0)) end_ = End::after_response;
  if (end_ == End::after_response) {
    // A client that is still sending would get a reset instead of the answer.
    end_ = half_closed_ || (body_ == Body::none && unparsed_.empty()) ? End::after_writes : End::lingering;
  }
  if (end_ == End::lingering && !shut_down_) {
    shut_down_ = true;
    unparsed_.clear();
    stream_.shutdown();
  }
  if (end_ == End::after_writes && stream_.queued() == 0) close();
}

void Http1Connection::update_waiting() {
  TimeoutLists& timeouts = context_.timeouts;
  if (end_ == End::lingering) return timeouts.keep_waiting(*this, Waiting::for_end);
  if (stream_.queued() > 0) {
    if (waiting() != Waiting::for_writes) last_progress_ = stream_.progress();
    return timeouts.keep_waiting(*this, Waiting::for_writes);
  }
  if (exchange_ != nullptr) {
    if (body_ != Body::none && !receiving_paused() && !exchange_->responded && !continue_wanted_) {
      return timeouts.keep_waiting(*this, Waiting::for_body);
    }
    return timeouts.keep_waiting(*this, Waiting::for_handler);
  }
  if (body_ != Body::none) return timeouts.keep_waiting(*this, Waiting::for_end);  // dropping the rest of a body
  if (unparsed_.empty() && requests_ > 0) {
    // Empty lines do not make it less idle.
    if (std::exchange(idle_again_, false)) return timeouts.wait(*this, Waiting::for_request);
    return timeouts.keep_waiting(*this, Waiting::for_request);
  }
  timeouts.keep_waiting(*this, Waiting::for_head);
}

void Http1Connection::count_sent() noexcept {
  add(context_.row.bytes_out, stream_.bytes_sent() - std::exchange(counted_, stream_.bytes_sent()));
}

void Http1Connection::timed_out() {
  switch (waiting()) {
    case Waiting::for_writes:
      if (std::exchange(last_progress_, stream_.progress()) != stream_.progress()) {
        return context_.timeouts.wait(*this, Waiting::for_writes);
      }
      add(context_.row, LimitHit::write_time);
      break;
    case Waiting::for_head:
      if (!unparsed_.empty()) {
        add(context_.row.timeouts);
        refuse({408, "the head of the request did not arrive in time", LimitHit::header_time});
        return settle();
      }
      add(context_.row, LimitHit::header_time);
      break;
    case Waiting::for_body:
      add(context_.row, LimitHit::body_time);
      return body_too_slow("the body of the request did not arrive in time");
    case Waiting::for_request:
      add(context_.row, LimitHit::keep_alive_time);
      return close();  // nothing went wrong: an idle connection has served its time
    default:
      break;
  }
  if (waiting() != Waiting::for_end) add(context_.row.timeouts);
  close();
}

void Http1Connection::body_too_slow(const char* reason) {
  add(context_.row.timeouts);
  body_failed(408, reason);
  if (exchange_ != nullptr && !exchange_->responded) respond(*exchange_, problem(408, reason));
  settle();
}

// A client that sends, but so little that it seems to want the connection more than an answer.
bool Http1Connection::is_too_slow(std::size_t received) noexcept {
  if (context_.limits.min_receive_rate == 0) return false;
  rate_bytes_ += received;
  const std::uint64_t elapsed_ms = (context_.timeouts.now() - rate_since_) * kTickMs;
  if (elapsed_ms < kRateWindowMs) return false;
  const bool slow = rate_bytes_ * 1000 < context_.limits.min_receive_rate * elapsed_ms;
  restart_rate();
  return slow;
}

void Http1Connection::restart_rate() noexcept {
  rate_since_ = context_.timeouts.now();
  rate_bytes_ = 0;
}

void Http1Connection::received_too_slowly() {
  constexpr const char* kReason = "the request arrives too slowly";
  if (body_ != Body::none && (exchange_ == nullptr || exchange_->responded)) return settle();  // being dropped
  if (body_ == Body::none && exchange_ != nullptr) return settle();  // pipelined behind a request that runs
  if (body_ != Body::none) {
    add(context_.row, LimitHit::receive_rate);
    return body_too_slow(kReason);
  }
  add(context_.row.timeouts);
  refuse({408, kReason, LimitHit::receive_rate});
  settle();
}

void Http1Connection::check_deadline(std::chrono::steady_clock::time_point now) {
  constexpr std::uint64_t kHalfClosedTicks = 2000 / kTickMs;
  if (exchange_ == nullptr) return;
  if (half_closed_ && waiting() == Waiting::for_handler && context_.timeouts.waited(*this) >= kHalfClosedTicks) {
    // A stream that goes on is not silence: had the client gone, writing would have told.
    if (std::exchange(last_progress_, stream_.progress()) == stream_.progress()) return close();
    context_.timeouts.wait(*this, Waiting::for_handler);
  }
  if (exchange_->responded || now < exchange_->deadline) return;
  add(context_.row, LimitHit::deadline);
  context_.handler.deadline_passed(*exchange_);
}

void Http1Connection::drain(bool close_idle) {
  if (streamed_ != nullptr && streamed_->ends_on_drain()) {
    streamed_->stop();
    stream_ended(nullptr);
  }
  if (stream_.closing() || end_ != End::open) return;
  // A request that has come just now is answered: closing would reset it.
  if (close_idle && idle() && !stream_.has_input()) close();
}

}  // namespace pronghorn::worker
