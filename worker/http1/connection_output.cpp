// From responses to bytes: see connection.h.
#include <unistd.h>

#include <utility>

#include "common/log.h"
#include "worker/http/response_access.h"
#include "worker/http1/connection.h"

namespace pronghorn::worker {

bool Http1Connection::last_response() noexcept {
  if (!keep_alive_ || context_.draining || end_ != End::open || continue_wanted_) return true;
  if (half_closed_ && !more_input_ && unparsed_.empty()) return true;
  const HttpLimits& limits = context_.limits;
  if (limits.keep_alive_requests != 0 && requests_ >= limits.keep_alive_requests) {
    add(context_.row[Count::limit_keep_alive_requests]);
    return true;
  }
  const auto age = static_cast<std::int64_t>((context_.timeouts.now() - opened_) * kTickMs);
  if (limits.keep_alive_age.count() != 0 && age >= limits.keep_alive_age.count()) {
    add(context_.row[Count::limit_keep_alive_age]);
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
  if (!owing_) add(context_.row[Count::limit_queued_output]);
  owing_ = true;
  return true;
}

// Answers a request that no handler sees. The connection cannot be used any further.
void Http1Connection::refuse(const Refusal& refusal) {
  add(context_.row[Count::bad_requests]);
  if (refusal.limit) add(context_.row[*refusal.limit]);
  if (exchange_ == nullptr) {
    exchange_ = context_.exchanges.acquire();
    exchange_->head.clear();
    exchange_->owner = this;
    exchange_->peer = &peer_;
    exchange_->started = std::chrono::steady_clock::now();
    sent_before_ = bytes_before_response();
    add(context_.row[Count::in_flight]);
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

void Http1Connection::send_interim(Exchange& exchange, std::string_view head) {
  if (&exchange != exchange_ || exchange.responded || exchange.head.minor_version == 0) return;
  add(context_.row[Count::responses_1xx]);
  if (output_ != nullptr) {
    output_->append(head);
  } else {
    stream_.write(head);
  }
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

void Http1Connection::send_file(std::unique_ptr<detail::FilePart> part, std::string& output) {
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
    add(context_.row[Count::handler_errors]);
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
  add(row[Count::requests]);
  add(row[responses_of(status)]);
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
  subtract(context_.row[Count::in_flight]);
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
  subtract(context_.row[Count::in_flight]);
  context_.ended_exchanges.push_back(exchange);
}

}  // namespace pronghorn::worker
