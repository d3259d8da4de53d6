// When a connection reads, what it waits for and how it ends: see connection.h.
#include <algorithm>
#include <utility>

#include "worker/http1/connection.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMaxPipelined = 64 * 1024;  // bytes kept of requests that wait for the one before
// Bytes dropped before the connection is closed on a client that does not stop. Closing earlier resets the connection,
// and simple clients read the response only after they have sent their whole body.
constexpr std::uint32_t kMaxLingered = 64 * 1024 * 1024;
// A client that has sent its end and gets nothing for so long has left.
constexpr std::uint64_t kHalfClosedTicks = 2000 / kTickMs;

}  // namespace

Http1Connection::Http1Connection(HttpContext& context, ConnectionOwner& owner, ByteStream& stream, Peer peer,
                                 bool surplus)
    : context_(context),
      owner_(owner),
      stream_(stream),
      peer_(std::move(peer)),
      counted_(stream.bytes_sent()),
      surplus_(surplus),
      sender_(context, stream),
      opened_(static_cast<std::uint32_t>(context.timeouts.now())) {}

Http1Connection::~Http1Connection() { context_.timeouts.remove(*this); }

void Http1Connection::start() {
  context_.timeouts.wait(*this, Waiting::for_head);
  stream_.read_start();
}

void Http1Connection::resume(const HandoffRecord& record, const Handed& handed,
                             std::unique_ptr<detail::FilePart> file) {
  const std::uint64_t now = monotonic_ms();
  requests_ = record.requests;
  if (record.begun != Begun::no) {
    begun_ = std::make_unique<BegunBefore>(
        BegunBefore{.how = record.begun, .until = record.begun_until, .crashed = record.crashed});
  }
  truncated_ = record.truncated != 0;
  // May wrap around: only differences matter.
  const std::uint64_t age = (now > record.opened_ms ? now - record.opened_ms : 0) / kTickMs;
  opened_ = static_cast<std::uint32_t>(context_.timeouts.now() - age);
  if (!handed.unsent.empty() || file != nullptr) stream_.write_owed(handed.unsent, std::move(file));
  if (stream_.closing()) return;
  catches_up_ = stream_.queued() != 0;
  if (record.ends != 0) end_after_response(End::decided);
  update_waiting();
  arrival_.set_kept(true);
  if (!handed.unanswered.empty()) take_in(handed.unanswered);
  arrival_.set_kept(false);
  if (!stream_.closing()) settle();
}

void Http1Connection::on_drained() {
  catches_up_ = false;
  if (end_ == End::closing) return close();
  if (sender_.file_sent()) response_sent();
  if (StreamedResponse* const produced = sender_.produced()) produced->drained();
  if (stream_.closing()) return;
  stream_.notes().settle(stream_.queued() == 0);  // before another request begins
  consume_unparsed();
  settle();
}

void Http1Connection::on_error() {
  if (!stream_.file_was_short()) return close(Lost::client_left);
  report_short_file();
  close(Lost::cut);
}

void Http1Connection::on_closed() { owner_.closed(*this); }

void Http1Connection::on_end() {
  client_ = ClientSide::finished;
  // A client that has only finished sending still gets its response, if that comes soon. One that has disconnected
  // looks the same from here.
  if (end_ == End::lingering) end_ = End::closing;
  progress_.look(stream_);
  settle();
  if (waiting() == Waiting::for_handler) context_.timeouts.wait(*this, Waiting::for_handler);  // from now on
}

void Http1Connection::close(Lost why) noexcept {
  if (stream_.closing()) return;
  const bool looks_whole = sender_.ends_with_connection();
  if (exchange_ == nullptr && stream_.queued() > 0) count_lost_response(context_.row, why);
  cancel_exchange(why);
  context_.timeouts.remove(*this);
  count_sent();
  looks_whole ? stream_.reset() : stream_.close();
}

// Call after every event: ends the connection if it is due, reads or stops reading, and begins to wait for what is
// next.
void Http1Connection::settle() {
  if (stream_.closing()) return;
  count_sent();
  stream_.notes().settle(stream_.queued() == 0);
  if (end_ == End::upgraded) return stream_.read_stop();
  end_cut_body();
  end_if_last();
  if (stream_.closing()) return;
  if (holds_back()) {
    if (stream_.reading() && owes_too_much()) add(context_.row[Count::limit_queued_output]);
    stream_.read_stop();
  } else if (client_ == ClientSide::sending) {
    if (!stream_.reading()) {
      rate_.resume(context_.timeouts.now());
      arrival_.held_back();
    }
    stream_.read_start();
  }
  update_waiting();
}

// A body whose client has sent its end will never be whole, also if that end was read while the request waited behind
// another.
void Http1Connection::end_cut_body() {
  if (client_ == ClientSide::sending || !body_.expected() || unparsed_ != nullptr) return;
  if (request_running()) return close(Lost::client_left);
  body_.abandon();
  end_after_response(End::decided);
}

// Whether to leave received bytes in the kernel, so that the client slows down.
bool Http1Connection::holds_back() const noexcept {
  if (end_ == End::lingering) return false;
  if (owes_too_much() || (exchange_ != nullptr && body_.holds_back())) return true;
  // What waits for nothing but its own rest is the head of a request: its size is limited by HttpLimits.
  if (exchange_ == nullptr && !next_waits()) return false;
  // Whatever waits behind a request must outlive this worker, so no more is read than the ledger keeps.
  if (unparsed_ != nullptr && !body_.expected() && stream_.notes().room() == 0) return true;
  return unparsed().size() > kMaxPipelined;
}

// A client that sends requests and does not read the responses would fill the memory of the worker.
bool Http1Connection::owes_too_much() const noexcept {
  const std::uint64_t limit = context_.limits.max_queued_output;
  return limit != 0 && stream_.queued() > limit;
}

// Whether the next request waits until the client has taken what is queued. The ledger has room for one response.
bool Http1Connection::next_waits() const noexcept {
  if (catches_up_ || stream_.notes().entry() != nullptr) return stream_.queued() != 0;
  return owes_too_much();
}

void Http1Connection::end_after_response(End why) noexcept {
  if (end_ == End::open || (end_ == End::asked && why == End::decided)) end_ = why;
}

// Whether the response that is about to be sent is the last.
void Http1Connection::decide_end() noexcept {
  if (surplus_ || truncated_ || (context_.draining && !will_move()) || body_.awaits_continue() ||
      body_.too_much_left()) {
    end_after_response(End::decided);
  }
  if (end_ != End::open) return;
  if (client_ == ClientSide::finished && !is_followed_ && unparsed_ == nullptr) return end_after_response(End::decided);
  if (keep_alive_is_over(context_, requests_, opened_)) end_after_response(End::decided);
}

void Http1Connection::end_if_last() {
  if (exchange_ != nullptr) return;
  const bool finished = client_ == ClientSide::finished;
  // When everything is answered, the remaining bytes of a client that sends no more are not a whole request.
  if (finished && (unparsed_ == nullptr || stream_.queued() == 0)) end_after_response(End::decided);
  if (end_ == End::asked || end_ == End::decided) {
    const bool sends_more = end_ == End::decided || body_.expected() || unparsed_ != nullptr;
    if (!finished && sends_more) return linger();
    end_ = End::closing;
  }
  if (end_ == End::closing && stream_.queued() == 0) close();
}

void Http1Connection::linger() {
  end_ = End::lingering;
  unparsed_.reset();
  stream_.shutdown();
}

// Bytes after the last request.
void Http1Connection::drop(std::size_t bytes) {
  if (end_ == End::closing) linger();  // the client asked for the end, but continues to send
  dropped_ += static_cast<std::uint32_t>(bytes);
  if (dropped_ > kMaxLingered) close();
}

void Http1Connection::update_waiting() {
  TimeoutLists& timeouts = context_.timeouts;
  if (stream_.queued() > 0) {
    if (waiting() != Waiting::for_writes) progress_.restart();
    return timeouts.keep_waiting(*this, Waiting::for_writes);
  }
  if (end_ == End::lingering) return timeouts.keep_waiting(*this, Waiting::for_end);
  if (exchange_ != nullptr) {
    const bool for_body = body_.receiving() && !body_.holds_back() && !exchange_->responded;
    return timeouts.keep_waiting(*this, for_body ? Waiting::for_body : Waiting::for_handler);
  }
  if (body_.expected()) return timeouts.keep_waiting(*this, Waiting::for_end);  // the rest of a body is being dropped
  if (unparsed_ == nullptr && requests_ > 0) {
    // Empty lines do not make it less idle.
    if (std::exchange(idle_after_, requests_) != requests_) return timeouts.wait(*this, Waiting::for_request);
    return timeouts.keep_waiting(*this, Waiting::for_request);
  }
  timeouts.keep_waiting(*this, Waiting::for_head);
}

void Http1Connection::count_sent() noexcept {
  add(context_.row[Count::bytes_out], stream_.bytes_sent() - std::exchange(counted_, stream_.bytes_sent()));
}

void Http1Connection::timed_out() {
  const bool receiving = stream_.acknowledged() != stream_.bytes_sent();  // what the kernel has for it
  switch (waiting()) {
    case Waiting::for_writes:
      if (progress_.reads(stream_, context_.timeouts.waited(*this))) {
        const bool sent = end_ == End::lingering && stream_.queued() == 0 && !receiving;
        return context_.timeouts.wait(*this, sent ? Waiting::for_end : Waiting::for_writes);
      }
      add(context_.row[Count::limit_write_time]);
      break;
    case Waiting::for_end:
      if (end_ == End::lingering && receiving) {
        progress_.look(stream_);
        return context_.timeouts.wait(*this, Waiting::for_writes);
      }
      return close();
    case Waiting::for_request:
      if (receiving && progress_.reads(stream_, context_.timeouts.waited(*this)))
        return context_.timeouts.wait(*this, Waiting::for_request);
      add(context_.row[Count::limit_keep_alive_time]);
      return close();  // not an error, so not counted as a timeout
    case Waiting::for_head:
      if (unparsed_ != nullptr) {
        add(context_.row[Count::timeouts]);
        stream_.notes().begin_request(unparsed_->size(), requests_);
        refuse({408, "the head of the request did not arrive in time", Count::limit_header_time});
        return settle();
      }
      add(context_.row[Count::limit_header_time]);
      break;
    case Waiting::for_body:
      add(context_.row[Count::limit_body_time]);
      return body_too_slow("the body of the request did not arrive in time");
    case Waiting::for_handler:
    case Waiting::for_message:
    case Waiting::nothing:
      return;
  }
  add(context_.row[Count::timeouts]);
  close();
}

void Http1Connection::body_too_slow(const char* reason) {
  add(context_.row[Count::timeouts]);
  body_failed(408, reason);
  if (request_running()) context_.handler.refuse(*exchange_, 408, reason);
  settle();
}

void Http1Connection::received_too_slowly() {
  constexpr const char* kReason = "the request arrives too slowly";
  const bool dropping = body_.expected() && !request_running();
  const bool pipelined = !body_.expected() && exchange_ != nullptr;  // behind a request that runs
  if (dropping || pipelined) return settle();
  if (body_.expected()) {
    add(context_.row[Count::limit_receive_rate]);
    return body_too_slow(kReason);
  }
  add(context_.row[Count::timeouts]);
  stream_.notes().begin_request(unparsed_->size(), requests_);
  refuse({408, kReason, Count::limit_receive_rate});
  settle();
}

// Whether the client has left a request whose further bytes wait in the kernel, so that its end is not read. Asks every
// two seconds.
bool Http1Connection::left_unread() noexcept {
  if (stream_.reading() || client_ != ClientSide::sending || waiting() != Waiting::for_handler ||
      context_.timeouts.waited(*this) < kHalfClosedTicks) {
    return false;
  }
  const PeerState peer = stream_.waited().peer;
  if (peer == PeerState::gone) return true;
  const bool silent = std::exchange(end_waits_, peer == PeerState::finished) && !progress_.progressed(stream_);
  if (end_waits_ && silent) return true;
  progress_.look(stream_);
  context_.timeouts.wait(*this, Waiting::for_handler);
  return false;
}

void Http1Connection::check_deadline(std::chrono::steady_clock::time_point now) {
  if (waiting() == Waiting::for_writes && progress_.unknown()) progress_.look(stream_);
  if (exchange_ == nullptr) return;
  if (client_ == ClientSide::finished && waiting() == Waiting::for_handler &&
      context_.timeouts.waited(*this) >= kHalfClosedTicks) {
    // A stream that continues is not silence: if the client had disconnected, writing would have failed.
    if (!progress_.progressed(stream_)) return close(Lost::client_left);
    context_.timeouts.wait(*this, Waiting::for_handler);
  }
  if (left_unread()) return close(Lost::client_left);
  if (exchange_->responded || now < exchange_->deadline) return;
  add(context_.row[Count::limit_deadline]);
  context_.handler.deadline_passed(*exchange_);
}

void Http1Connection::drain(bool close_idle) {
  StreamedResponse* const produced = sender_.produced();
  if (produced != nullptr && produced->ends_on_drain()) {
    produced->stop();
    stream_ended(nullptr);
  }
  if (stream_.closing() || end_ != End::open) return;
  // A request that has just arrived is answered: closing would reset the connection.
  if (close_idle && idle() && !will_move() && !stream_.has_input()) close();
}

bool Http1Connection::can_move() const noexcept {
  return stream_.notes().entry() != nullptr && !stream_.closing() && exchange_ == nullptr && !body_.expected() &&
         stream_.queued() == 0 && end_ == End::open && client_ == ClientSide::sending &&
         unparsed().size() <= kMaxHandedUnanswered;
}

HandoffSent Http1Connection::hand_over(Ledger& ledger, int queue) noexcept {
  LedgerEntry& entry = *stream_.notes().entry();
  HandoffRecord record;
  record.reason = HandoffReason::drain;
  record.answered = entry.read.load(std::memory_order_relaxed) - unparsed().size();
  record.sent = stream_.bytes_sent();
  record.opened_ms = entry.opened_ms.load(std::memory_order_relaxed);
  record.identity = entry.identity.load(std::memory_order_relaxed);
  record.requests = requests_;
  record.peer = entry.peer;
  record.records_base = ledger.records_base(entry);
  ledger.leave(entry);
  const HandoffSent sent = send_handoff(queue, {.connection = entry.fd.load(), .unanswered = unparsed()}, record);
  if (sent == HandoffSent::full) ledger.stay(entry);
  return sent;
}

}  // namespace pronghorn::worker
