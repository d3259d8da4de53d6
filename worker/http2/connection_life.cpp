// How a connection sends, what it waits for and how it ends: see connection.h.
#include <algorithm>
#include <utility>

#include "worker/http2/connection.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kGathered = 64 * 1024;    // bytes of frames that are written at once
constexpr std::size_t kPerTurn = 256 * 1024;    // bytes of one connection before other clients have their turn
constexpr std::size_t kMaxLingered = 64 << 20;  // bytes dropped before a client that does not stop is disconnected
constexpr std::uint64_t kAnnounceMs = 1000;     // for the client to learn that it should send no new requests

}  // namespace

Http2Connection::Http2Connection(HttpContext& context, ConnectionOwner& owner, ByteStream& stream, Peer peer,
                                 bool surplus)
    : context_(context),
      owner_(owner),
      stream_(stream),
      peer_(std::move(peer)),
      session_(*this, context.limits),
      resets_(context.limits.max_stream_resets, context.timeouts.now()),
      control_frames_(context.limits.max_control_frames, context.timeouts.now()),
      counted_(stream.bytes_sent()),
      opened_(static_cast<std::uint32_t>(context.timeouts.now())),
      surplus_(surplus) {
  add(context_.row[Count::http2_connections]);
}

Http2Connection::~Http2Connection() {
  subtract(context_.row[Count::http2_connections]);
  context_.timeouts.remove(*this);
  context_.end_of_turn.forget(*this);
}

void Http2Connection::start(std::string_view received, std::string_view more) {
  context_.timeouts.wait(*this, Waiting::for_head);
  if (!received.empty()) receive(received);
  if (!more.empty() && !stream_.closing()) receive(more);
  if (stream_.closing()) return;
  send();
  if (!stream_.closing()) stream_.read_start();
}

void Http2Connection::send_later() noexcept {
  if (sending_ || std::exchange(send_due_, true)) return;
  context_.end_of_turn.flush(*this);
}

void Http2Connection::end_turn() {
  send_due_ = false;
  if (!stream_.closing()) send();
}

void Http2Connection::next_turn() {
  yielding_ = false;
  if (!stream_.closing()) send();
}

// Frames are made while the client takes them.
void Http2Connection::send() {
  if (sending_ || stream_.closing() || end_ == End::lingering) return;
  sending_ = true;
  std::string& out = context_.outputs.acquire();
  std::size_t written = 0;
  auto sent = Http2Session::Sent::more;
  while (sent == Http2Session::Sent::more && stream_.queued() == 0 && !stream_.closing() && written < kPerTurn) {
    sent = session_.send(out, kGathered);
    written += out.size();
    if (!out.empty()) stream_.write(out);
    out.clear();
  }
  context_.outputs.release(out);
  sending_ = false;
  if (sent == Http2Session::Sent::failed) close(Lost::cut);
  if (stream_.closing()) return;
  const bool yields = sent == Http2Session::Sent::more && stream_.queued() == 0;
  if (yields && !std::exchange(yielding_, true)) context_.end_of_turn.resume_next_turn(*this);
  resume_producers();
  if (!stream_.closing() && kept_ != 0 && !yielding_) dispatch();
  if (!stream_.closing()) settle();
}

// Not while frames are made: producers are code of the application.
void Http2Connection::resume_producers() {
  const std::vector<std::int32_t> taken = std::exchange(taken_, {});
  for (const std::int32_t id : taken) {
    if (stream_.closing()) return;
    if (Http2Stream* const stream = session_.find(id)) stream->resume_producer();
  }
}

void Http2Connection::settle() {
  count_sent();
  end_if_due();
  if (!stream_.closing()) update_waiting();
}

void Http2Connection::end_if_due() {
  if (end_ == End::lingering) {
    if (dropped_ > kMaxLingered) close(Lost::cut);
    return;
  }
  if (session_.finished() && stream_.queued() == 0) linger();
}

// Bytes that arrive at a closed socket would reset the connection and destroy what is on its way.
void Http2Connection::linger() {
  end_ = End::lingering;
  close_streams(Lost::cut);
  stream_.shutdown();
}

void Http2Connection::announce_end() noexcept {
  if (end_ != End::open) return;
  end_ = End::announced;
  announced_ = now();
  session_.announce_end();
  send_later();
}

void Http2Connection::refuse_new() noexcept {
  if (end_ != End::announced) return;
  end_ = End::last;
  session_.refuse_new();
  send_later();
}

void Http2Connection::ping_acknowledged() { refuse_new(); }

void Http2Connection::terminate(std::uint32_t error) noexcept {
  if (end_ != End::lingering) end_ = End::last;
  terminated_ = true;
  session_.terminate(error);
  send_later();
}

void Http2Connection::drain(bool close_idle) {
  if (stream_.closing() || end_ == End::lingering) return;
  for (Http2Stream& stream : streams_) stream.drain();
  for (Http2Tunnel& tunnel : tunnels_) tunnel.drain(close_idle);
  if (requests_ != 0 || close_idle) announce_end();  // a new connection is for a request that is on its way
}

void Http2Connection::update_waiting() {
  TimeoutLists& timeouts = context_.timeouts;
  if (stream_.queued() > 0) {
    if (waiting() != Waiting::for_writes) progress_.restart();
    return timeouts.keep_waiting(*this, Waiting::for_writes);
  }
  if (end_ == End::lingering) return timeouts.keep_waiting(*this, Waiting::for_end);
  if (!streams_.empty()) return timeouts.keep_waiting(*this, Waiting::for_handler);
  if (end_ != End::open) return timeouts.keep_waiting(*this, Waiting::for_end);
  timeouts.keep_waiting(*this, requests_ == 0 ? Waiting::for_head : Waiting::for_request);
}

void Http2Connection::timed_out() {
  switch (waiting()) {
    case Waiting::for_writes:
      if (progress_.reads(stream_, context_.timeouts.waited(*this))) {
        return context_.timeouts.wait(*this, Waiting::for_writes);
      }
      add(context_.row[Count::limit_write_time]);
      break;
    case Waiting::for_end:
      if (end_ != End::announced) return close(Lost::cut);
      refuse_new();
      context_.timeouts.wait(*this, Waiting::for_end);
      return;
    case Waiting::for_request:
      if (!context_.draining) add(context_.row[Count::limit_keep_alive_time]);
      announce_end();
      context_.timeouts.wait(*this, Waiting::for_end);
      return;
    case Waiting::for_head:
      add(context_.row[Count::limit_header_time]);
      break;
    case Waiting::for_body:
    case Waiting::for_handler:
    case Waiting::for_message:
    case Waiting::nothing:
      return;
  }
  add(context_.row[Count::timeouts]);
  close(Lost::cut);
}

void Http2Connection::check_deadline(std::chrono::steady_clock::time_point now) {
  if (waiting() == Waiting::for_writes) {
    if (progress_.unknown()) progress_.look(stream_);
    if (context_.timeouts.waited(*this) * kTickMs >= kCrowdedMs && is_crowded()) timed_out();
    if (stream_.closing()) return;
  }
  if (end_ == End::lingering) return;
  const auto lasts = [this](std::uint64_t since, std::uint64_t limit_ms) {
    return limit_ms != 0 && (context_.timeouts.now() - since) * kTickMs >= limit_ms;
  };
  if (end_ == End::announced && lasts(announced_, kAnnounceMs)) refuse_new();
  if (assembling_ != 0 && lasts(block_began_, static_cast<std::uint64_t>(context_.limits.header_timeout.count()))) {
    add(context_.row[Count::limit_header_time]);
    add(context_.row[Count::timeouts]);
    return close(Lost::cut);
  }
  const bool waits = std::ranges::any_of(streams_, &Http2Stream::waits_for_client);
  if (!waits) patience_.restart();
  if (waits && session_.blocked(0)) wait(patience_);
  // None of this removes a stream: nghttp2 reports its end when the reset is sent.
  for (Http2Stream& stream : streams_) stream.check(now);
}

void Http2Connection::on_closed() {
  gone_ = true;
  if (tunnels_.empty()) owner_.closed(*this);
}

void Http2Connection::close() noexcept {
  close(Lost::cut);
  for (Http2Tunnel& tunnel : tunnels_) tunnel.close_protocol();
}

void Http2Connection::close(Lost why) noexcept {
  if (stream_.closing()) return;
  context_.timeouts.remove(*this);
  count_sent();
  stream_.close();
  close_streams(terminated_ ? Lost::cut : why);
}

void Http2Connection::close_streams(Lost why) noexcept {
  while (!streams_.empty()) {
    Http2Stream& stream = streams_.front();
    session_.set(stream.id(), nullptr);
    stream.close(why);
    streams_.pop_front();
  }
}

void Http2Connection::count_sent() noexcept {
  add(context_.row[Count::bytes_out], stream_.bytes_sent() - std::exchange(counted_, stream_.bytes_sent()));
}

}  // namespace pronghorn::worker
