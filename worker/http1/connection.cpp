#include "worker/http1/connection.h"

#include <utility>

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMaxPipelined = 64 * 1024;  // bytes kept of requests that wait for the one before

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
    if (!stream_.reading()) rate_.restart(context_.timeouts.now());  // it was us who waited
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
  add(context_.row[Count::bytes_out], stream_.bytes_sent() - std::exchange(counted_, stream_.bytes_sent()));
}

void Http1Connection::timed_out() {
  switch (waiting()) {
    case Waiting::for_writes:
      if (std::exchange(last_progress_, stream_.progress()) != stream_.progress()) {
        return context_.timeouts.wait(*this, Waiting::for_writes);
      }
      add(context_.row[Count::limit_write_time]);
      break;
    case Waiting::for_head:
      if (!unparsed_.empty()) {
        add(context_.row[Count::timeouts]);
        refuse({408, "the head of the request did not arrive in time", Count::limit_header_time});
        return settle();
      }
      add(context_.row[Count::limit_header_time]);
      break;
    case Waiting::for_body:
      add(context_.row[Count::limit_body_time]);
      return body_too_slow("the body of the request did not arrive in time");
    case Waiting::for_request:
      add(context_.row[Count::limit_keep_alive_time]);
      return close();  // nothing went wrong: an idle connection has served its time
    default:
      break;
  }
  if (waiting() != Waiting::for_end) add(context_.row[Count::timeouts]);
  close();
}

void Http1Connection::body_too_slow(const char* reason) {
  add(context_.row[Count::timeouts]);
  body_failed(408, reason);
  if (exchange_ != nullptr && !exchange_->responded) respond(*exchange_, problem(408, reason));
  settle();
}

void Http1Connection::received_too_slowly() {
  constexpr const char* kReason = "the request arrives too slowly";
  if (body_ != Body::none && (exchange_ == nullptr || exchange_->responded)) return settle();  // being dropped
  if (body_ == Body::none && exchange_ != nullptr) return settle();  // pipelined behind a request that runs
  if (body_ != Body::none) {
    add(context_.row[Count::limit_receive_rate]);
    return body_too_slow(kReason);
  }
  add(context_.row[Count::timeouts]);
  refuse({408, kReason, Count::limit_receive_rate});
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
  add(context_.row[Count::limit_deadline]);
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
