#include "worker/http/http1_connection.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "worker/http/head_guard.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMaxPipelined = 64 * 1024;   // bytes kept of requests that wait for the one before
constexpr std::size_t kMaxQueued = 1024 * 1024;    // bytes of responses that a client may owe us
constexpr std::uint64_t kMaxDropped = 256 * 1024;  // of a body that nobody wants, before the connection is given up
constexpr std::uint64_t kMinBodyRate = 500;        // bytes per second that add to the time a body has

}  // namespace

Http1Connection::Http1Connection(HttpContext& context, ConnectionOwner& owner, int fd, bool is_unix, Peer peer)
    : context_(context),
      owner_(owner),
      peer_(std::move(peer)),
      stream_(context.loop, fd, is_unix, context.read_buffer, *this) {}

Http1Connection::~Http1Connection() { context_.timeouts.remove(*this); }

void Http1Connection::start() {
  if (!stream_.ok()) return close();
  stream_.read_start();
  context_.timeouts.wait(*this, Waiting::for_head);
}

// --- input ---

void Http1Connection::on_data(std::string_view bytes) {
  add(context_.row.bytes_in, bytes.size());
  if (end_ == End::lingering || end_ == End::after_writes) {
    dropped_ += bytes.size();
    if (dropped_ > kMaxDropped) close();
    return;
  }
  if (body_ != Body::none && body_too_slow(bytes.size())) return timed_out();
  if (unparsed_.empty()) {
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
  if (body_ != Body::none) context_.timeouts.wait(*this, Waiting::for_body);
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
    } else if (exchange_ == nullptr && end_ == End::open && stream_.queued() <= kMaxQueued) {
      taken = begin_request(rest);
    }
    if (taken == 0) break;
    used += taken;
  }
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
  begin_exchange(bytes.substr(0, scan.position));
  return scan.position;
}

std::size_t Http1Connection::head_incomplete(std::string_view bytes) {
  const HttpLimits& limits = context_.limits;
  if (first_line_ == std::string_view::npos) {
    // The last byte may be the CR that ends a line of just the allowed length.
    if (limits.max_request_line != 0 && bytes.size() > std::size_t{limits.max_request_line} + 1) {
      refuse({414, "request line too long"});
      return bytes.size();
    }
  } else if (limits.max_header_bytes != 0 && bytes.size() - first_line_ > limits.max_header_bytes) {
    refuse({431, "header fields too large"});
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
  sent_before_ = stream_.bytes_sent();
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
    body_bytes_ = 0;
    body_ticks_ = 0;
    dropped_ = 0;
    decoder_.reset();
    continue_wanted_ = exchange.head.expect_continue;
    exchange.body.begin();
  }
  const auto max_in_flight = context_.limits.max_in_flight;
  if (max_in_flight != 0 && context_.row.in_flight.load(std::memory_order_relaxed) > max_in_flight) {
    add(context_.row.shed);
    Response response = problem(503, "too many requests are being handled");
    response.set("Retry-After", "1");
    respond(exchange, std::move(response));
    return;
  }
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
  if (dropped_ > kMaxDropped) end_ = End::lingering;
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

// A client that sends a byte now and then would keep its request for days: it has body_timeout altogether, and a second
// more for every kMinBodyRate bytes. The time in which it was held back does not count.
bool Http1Connection::body_too_slow(std::size_t size) noexcept {
  body_bytes_ += size;
  if (waiting() != Waiting::for_body && waiting() != Waiting::for_end) return false;
  body_ticks_ += context_.timeouts.waited(*this);
  const auto limit = static_cast<std::uint64_t>(context_.limits.body_timeout.count());
  return limit != 0 && body_ticks_ * kTickMs > limit + body_bytes_ / kMinBodyRate * 1000;
}

// A handler that does not read holds the client back.
bool Http1Connection::receiving_paused() const noexcept {
  return exchange_ != nullptr && !exchange_->responded && body_ != Body::none && !exchange_->body.wants_more();
}

void Http1Connection::want_body(Exchange& exchange) {
  if (&exchange != exchange_ || body_ == Body::none) return;
  if (continue_wanted_) {
    continue_wanted_ = false;
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
  if (exchange_ == nullptr && stream_.queued() > 0) {
    end_ = End::after_writes;
    return;
  }
  if (exchange_ == nullptr || body_ != Body::none) return close();
  context_.timeouts.wait(*this, Waiting::for_handler);
}

// --- output ---

bool Http1Connection::last_response() const noexcept {
  const auto max_requests = context_.limits.keep_alive_requests;
  return !keep_alive_ || context_.draining || end_ != End::open || half_closed_ || continue_wanted_ ||
         (max_requests != 0 && requests_ >= max_requests);
}

// Answers a request that no handler sees. The connection cannot be used any further.
void Http1Connection::refuse(const Refusal& refusal) {
  add(context_.row.bad_requests);
  if (exchange_ == nullptr) {
    exchange_ = context_.exchanges.acquire();
    exchange_->head.clear();
    exchange_->owner = this;
    exchange_->peer = &peer_;
    exchange_->started = std::chrono::steady_clock::now();
    sent_before_ = stream_.bytes_sent();
    add(context_.row.in_flight);
  }
  keep_alive_ = false;
  end_ = End::after_response;
  respond(*exchange_, problem(refusal.status, refusal.reason));
  if (end_ == End::after_writes || end_ == End::after_response) end_ = End::lingering;
}

void Http1Connection::respond(Exchange& exchange, Response response) {
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
  if (part->length <= kCopied && stream_.queued() == 0) {
    const std::size_t start = output.size();
    output.resize(start + static_cast<std::size_t>(part->length));
    std::size_t filled = start;
    while (filled < output.size()) {
      const ssize_t size = ::pread(part->fd, output.data() + filled, output.size() - filled,
                                   static_cast<off_t>(part->offset + (filled - start)));
      if (size <= 0) return close();  // shorter than announced
      filled += static_cast<std::size_t>(size);
    }
    return response_sent(stream_status_);
  }
  stream_.write(output);
  output.clear();
  stream_.write_file(std::move(part));
  if (stream_.closing()) return;
  if (stream_.queued() == 0) return response_sent(stream_status_);
  sending_file_ = true;
}

void Http1Connection::begin_stream(Response& response, bool chunked) {
  streamed_ = std::make_unique<StreamedResponse>(*this, std::move(ResponseAccess::producer(response)), chunked);
  stream_.write(*output_);
  output_->clear();
  if (stream_.closing()) return;  // the client has gone, and with it the stream
  streamed_->start(*exchange_);
}

void Http1Connection::send_stream(std::string_view bytes) {
  if (!stream_.closing()) stream_.write(bytes);
}

void Http1Connection::flush_at_end_of_turn(StreamedResponse& stream) { context_.unflushed_streams.push_back(&stream); }

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
    const std::uint64_t pending = output_ != nullptr ? output_->size() : 0;
    context_.access_log.add(*exchange_, status, stream_.bytes_sent() + stream_.queued() + pending - sent_before_,
                            microseconds);
  }
}

void Http1Connection::finish_exchange() {
  Exchange* exchange = std::exchange(exchange_, nullptr);
  subtract(context_.row.in_flight);
  sending_file_ = false;
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
  add(context_.row.bytes_out, stream_.bytes_sent() - counted_);
  stream_.close();
}

// --- time ---

// After whatever happened: closes what has to be, reads or holds back, and begins the right timeout.
void Http1Connection::settle() {
  if (stream_.closing()) return;
  add(context_.row.bytes_out, stream_.bytes_sent() - std::exchange(counted_, stream_.bytes_sent()));
  end_if_last();
  if (stream_.closing()) return;
  const bool hold_back = receiving_paused() || unparsed_.size() > kMaxPipelined || stream_.queued() > kMaxQueued;
  if (hold_back && end_ != End::lingering) {
    stream_.read_stop();
  } else if (!half_closed_) {
    stream_.read_start();
  }
  update_waiting();
}

void Http1Connection::end_if_last() {
  if (exchange_ != nullptr) return;
  if (half_closed_ && unparsed_.empty() && end_ == End::open) end_ = End::after_response;
  if (end_ == End::after_response) {
    // A client that is still sending would get a reset instead of the answer.
    end_ = body_ == Body::none && unparsed_.empty() ? End::after_writes : End::lingering;
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
    if (body_ != Body::none && !receiving_paused() && !exchange_->responded) {
      return timeouts.keep_waiting(*this, Waiting::for_body);
    }
    return timeouts.keep_waiting(*this, Waiting::for_handler);
  }
  if (body_ != Body::none) return timeouts.keep_waiting(*this, Waiting::for_end);  // dropping the rest of a body
  if (unparsed_.empty() && requests_ > 0) return timeouts.wait(*this, Waiting::for_request);
  timeouts.keep_waiting(*this, Waiting::for_head);
}

void Http1Connection::timed_out() {
  switch (waiting()) {
    case Waiting::for_writes:
      if (std::exchange(last_progress_, stream_.progress()) != stream_.progress()) {
        return context_.timeouts.wait(*this, Waiting::for_writes);
      }
      break;
    case Waiting::for_head:
      if (!unparsed_.empty()) {
        add(context_.row.timeouts);
        refuse({408, "the head of the request did not arrive in time"});
        return settle();
      }
      break;
    case Waiting::for_body:
      add(context_.row.timeouts);
      body_failed(408, "the body of the request did not arrive in time");
      if (exchange_ != nullptr && !exchange_->responded) {
        respond(*exchange_, problem(408, "the body of the request did not arrive in time"));
      }
      return settle();
    case Waiting::for_request:
      return close();  // nothing went wrong: an idle connection has served its time
    default:
      break;
  }
  if (waiting() != Waiting::for_end) add(context_.row.timeouts);
  close();
}

void Http1Connection::check_deadline(std::chrono::steady_clock::time_point now) {
  constexpr std::uint64_t kHalfClosedTicks = 2000 / kTickMs;
  if (exchange_ == nullptr) return;
  if (half_closed_ && streamed_ == nullptr && context_.timeouts.waited(*this) >= kHalfClosedTicks) return close();
  if (exchange_->responded || now < exchange_->deadline) return;
  context_.handler.deadline_passed(*exchange_);
}

void Http1Connection::drain(bool close_idle) {
  if (end_ != End::open) return;
  // A request that has come just now is answered: closing would reset it.
  if (close_idle && idle() && !stream_.has_input()) close();
}

}  // namespace pronghorn::worker
