// From bytes to exchanges: see connection.h.
#include <algorithm>
#include <utility>

#include "worker/http1/connection.h"
#include "worker/http1/parser/head_guard.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMaxGathered = 64 * 1024;  // bytes of responses to one read before they are written

}  // namespace

void Http1Connection::on_data(std::string_view bytes) {
  add(context_.row[Count::bytes_in], bytes.size());
  if (end_ == End::lingering || end_ == End::after_writes) return;
  if (unparsed_.empty()) {
    if (body_ == Body::none) rate_.restart(context_.timeouts.now());
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
  if ((body_ != Body::none || !unparsed_.empty()) &&
      rate_.is_too_slow(bytes.size(), context_.timeouts.now(), context_.limits.min_receive_rate)) {
    return received_too_slowly();
  }
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
  begin_exchange(bytes.substr(0, scan.position), scan.first_line);
  return scan.position;
}

std::size_t Http1Connection::head_incomplete(std::string_view bytes) {
  const HttpLimits& limits = context_.limits;
  if (first_line_ == std::string_view::npos) {
    // The last byte may be the CR that ends a line of just the allowed length.
    if (limits.max_request_line != 0 && bytes.size() > std::size_t{limits.max_request_line} + 1) {
      refuse({414, "request line too long", Count::limit_request_line});
      return bytes.size();
    }
  } else if (limits.max_header_bytes != 0 && bytes.size() - first_line_ > limits.max_header_bytes) {
    refuse({431, "header fields too large", Count::limit_header_bytes});
    return bytes.size();
  }
  return 0;
}

void Http1Connection::begin_exchange(std::string_view head, std::size_t first_line) {
  Exchange& exchange = *context_.exchanges.acquire();
  exchange.owner = this;
  exchange.peer = &peer_;
  exchange.state = context_.state;
  exchange.started = std::chrono::steady_clock::now();
  exchange_ = &exchange;
  sent_before_ = bytes_before_response();
  add(context_.row[Count::in_flight]);
  ++requests_;

  // Copied before it is parsed, so that every view that a handler takes lives as long as the request, wherever it ends
  // up: in a coroutine, or in the producer of a stream. It costs less than finding out who needs it.
  exchange.head_bytes.assign(head);
  const Refusal refusal = parse_head(exchange.head_bytes, first_line, context_.limits, exchange.head);
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
    rate_.restart(context_.timeouts.now());
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
        add(context_.row[Count::limit_body]);
        body_failed(413, "the body is larger than allowed here");
        return bytes.size();
      }
      deliver(step.data);
      break;
    case ChunkedDecoder::State::trailers:
      if (exchange_ != nullptr) exchange_->trailer_bytes.append(step.data);
      break;
    case ChunkedDecoder::State::done:
      body_ended();
      break;
    case ChunkedDecoder::State::malformed:
      add(context_.row[Count::bad_requests]);
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
    rate_.restart(context_.timeouts.now());
    send_interim(exchange, "HTTP/1.1 100 Continue\r\n\r\n");
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

}  // namespace pronghorn::worker
