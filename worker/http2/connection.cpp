// Requests and limits: see connection.h.
#include "worker/http2/connection.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "worker/http2/protocol/priority.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint32_t kMaxContinuations = 8;  // frames of one header block behind its first
constexpr std::int64_t kFramesPerRequest = 8;   // control frames that a client may need for one
constexpr std::size_t kDataPerFrame = 1024;     // bytes of bodies for which it may need one
constexpr std::int64_t kFramesPerMessage = 2;   // for one that it gets in a tunnel: both windows
constexpr std::size_t kMostUpdated = 256;       // streams whose PRIORITY_UPDATE is remembered

// At most once a minute: clients can cause it as often as they like.
void report_excess(const Peer& peer, Count limit) {
  using Clock = std::chrono::steady_clock;
  static Clock::time_point next_report;
  const auto now = Clock::now();
  if (now < next_report) return;
  next_report = now + std::chrono::minutes(1);
  log_warning("an HTTP/2 client was disconnected because it exceeded a limit; more such clients are only counted",
              {{"client", peer.client.address}, {"limit", facts_of(limit).path.substr(sizeof("limits/") - 1)}});
}

}  // namespace

void Http2Connection::on_data(std::string_view bytes) {
  add(context_.row[Count::bytes_in], bytes.size());
  receive(bytes);
}

void Http2Connection::receive(std::string_view bytes) {
  if (end_ == End::lingering) {
    dropped_ += bytes.size();
    return end_if_due();
  }
  frames_told_ = 0;
  const std::size_t frames = frames_.count(bytes);
  int error = session_.receive(bytes);
  if (error == 0 && !spend_ignored(frames - std::min(frames, frames_told_))) error = NGHTTP2_ERR_CALLBACK_FAILURE;
  if (error != 0) receive_failed(error);
  dispatch();
  if (!stream_.closing()) send();
}

void Http2Connection::receive_failed(int error) {
  ready_.clear();
  if (stream_.closing()) return;
  if (error == NGHTTP2_ERR_FLOODED) exceeded_ = !too_many(Count::limit_control_frames);
  if (error == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) exceeded_ = !too_many(Count::limit_header_bytes);
  if (exceeded_) return terminate(NGHTTP2_ENHANCE_YOUR_CALM);
  add(context_.row[Count::bad_requests]);
  terminate(error == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_INTERNAL_ERROR);
}

// --- Limits ---------------------------------------------------------------------------------------------------------

// Returns false, which ends the connection.
bool Http2Connection::too_many(Count limit) noexcept {
  add(context_.row[limit]);
  exceeded_ = true;
  report_excess(peer_, limit);
  return false;
}

// Frames that nghttp2 has not told of.
bool Http2Connection::spend_ignored(std::size_t frames) noexcept {
  if (terminated_) return true;  // all are ignored
  for (; frames > 0; --frames) {
    if (!control_frames_.spend(now())) return too_many(Count::limit_control_frames);
  }
  return true;
}

bool Http2Connection::frame_begins(const nghttp2_frame_hd& frame) {
  ++frames_told_;
  switch (frame.type) {
    case NGHTTP2_HEADERS: {
      continuations_ = 0;
      const bool request = frame.stream_id > newest_ && end_ != End::last;
      if (frame.stream_id >= skipped_from_ && frame.stream_id <= skipped_to_) return protocol_error();
      if (const std::int32_t next = newest_ == 0 ? 1 : newest_ + 2; frame.stream_id > next) {
        skipped_from_ = next;
        skipped_to_ = frame.stream_id - 2;
        updated_.erase(updated_.lower_bound(skipped_from_), updated_.upper_bound(skipped_to_));
      }
      newest_ = std::max(newest_, frame.stream_id);
      if (request || session_.find(frame.stream_id) != nullptr) return true;
      break;  // nghttp2 ignores it
    }
    case NGHTTP2_CONTINUATION:
      return ++continuations_ <= kMaxContinuations || too_many(Count::limit_header_bytes);
    case NGHTTP2_DATA:
      if (frame.length != 0 || (frame.flags & NGHTTP2_FLAG_END_STREAM) != 0) return true;
      break;
    case NGHTTP2_PRIORITY:  // of which nghttp2 reads nothing
      if (frame.stream_id == 0) return protocol_error();
      break;
    case NGHTTP2_RST_STREAM:
      return resets_.spend(now()) || too_many(Count::limit_stream_resets);
    default:  // unknown ones too
      break;
  }
  return control_frames_.spend(now()) || too_many(Count::limit_control_frames);
}

// What RFC 9113 (sections 5.1.1 and 6.3) and RFC 9218 (section 7.1) require and nghttp2 lets pass.
bool Http2Connection::protocol_error() noexcept {
  add(context_.row[Count::bad_requests]);
  terminate(NGHTTP2_PROTOCOL_ERROR);
  return true;
}

bool Http2Connection::frame_refused(const nghttp2_frame& frame, int) {
  if (frame.hd.stream_id == assembling_) assembling_ = 0;  // block_ends() does not follow
  updated_.erase(frame.hd.stream_id);                      // nor stream_closed(), if it was to be a new one
  add(context_.row[Count::bad_requests]);
  const std::uint32_t limit = context_.limits.max_streams;
  if (frame.hd.type == NGHTTP2_HEADERS && frame.headers.cat == NGHTTP2_HCAT_REQUEST && limit != 0 &&
      streams_.size() >= limit) {
    add(context_.row[Count::limit_streams]);
  }
  // Its reset waits while the client does not read, and nghttp2 queues any number of them. Others are counted when they
  // begin.
  return frame.hd.type != NGHTTP2_HEADERS || control_frames_.spend(now()) || too_many(Count::limit_control_frames);
}

// --- Requests -------------------------------------------------------------------------------------------------------

void Http2Connection::block_begins(std::int32_t stream, bool request) {
  assembling_ = stream;
  block_began_ = now();
  assembly_.begin();
  if (!request) return;
  streams_.emplace_front(*this, stream);
  streams_.front().self = streams_.begin();
  session_.set(stream, &streams_.front());
}

bool Http2Connection::field(std::string_view name, std::string_view value) {
  return assembly_.add(name, value, context_.limits) || too_many(Count::limit_header_bytes);
}

void Http2Connection::block_ends(std::int32_t id, bool request, bool last) {
  assembling_ = 0;
  Http2Stream* const stream = session_.find(id);
  if (stream == nullptr) return;
  if (request) return begin_request(*stream, last);
  if (stream->is_tunnel()) return reset(id, NGHTTP2_PROTOCOL_ERROR);  // RFC 9113 section 8.5
  if (Exchange* const exchange = stream->exchange()) {
    assembly_.finish_trailers(context_.limits, exchange->trailer_bytes);
  }
  if (last) stream->finish_body();
}

void Http2Connection::begin_request(Http2Stream& stream, bool last) {
  control_frames_.earn(kFramesPerRequest);
  ++requests_;
  Exchange& exchange = context_.exchanges.open({.owner = stream, .peer = peer_, .state = context_.state});
  exchange.surplus = surplus_;
  const Refusal refusal = assembly_.finish(context_.limits, exchange.head_bytes, exchange.head);
  stream.begin(exchange, last);
  if (refusal.status == 0) return ready_.push_back(stream.id());
  stream.count_in_flight();
  add(context_.row[Count::bad_requests]);
  if (refusal.limit) add(context_.row[*refusal.limit]);
  context_.handler.refuse(exchange, refusal.status, refusal.reason);
}

void Http2Connection::dispatch() {
  std::size_t next = 0;
  // By index: a handler cannot add to them, but may close the connection.
  for (; next < ready_.size() && !stream_.closing(); ++next) {
    Http2Stream* const stream = session_.find(ready_[next]);
    if (stream == nullptr || stream->exchange() == nullptr || stream->exchange()->responded) continue;
    if (owes_too_much()) break;
    Exchange& exchange = *stream->exchange();
    arrival_.set_kept(next < kept_);
    if (arrival_.client_left(context_, stream_, exchange)) return close(Lost::client_left);
    stream->count_in_flight();
    if (exchange.head.tunnel && context_.handler.has_socket(exchange.head.path)) exchange.head.method = "GET";
    context_.handler.handle(exchange);
  }
  ready_.erase(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(next));
  if (kept_ == 0 && !ready_.empty()) add(context_.row[Count::limit_queued_output]);
  kept_ = ready_.size();
  if (stream_.closing() || end_ != End::open) return;
  if (requests_ == 0) return;
  if (surplus_ || context_.draining || keep_alive_is_over(context_, requests_, opened_)) announce_end();
}

// Whether requests wait until the client has taken responses: otherwise one that sends requests and does not read would
// fill the memory of the worker. One large response that is read slowly keeps no other request waiting.
bool Http2Connection::owes_too_much() const noexcept {
  const std::uint64_t limit = context_.limits.max_queued_output;
  if (limit == 0 || owed_ <= limit) return false;
  std::size_t largest = 0;
  for (const Http2Stream& stream : streams_) largest = std::max(largest, stream.owed());
  return owed_ - largest > limit;
}

// Whether handlers that ran side by side have added more than dispatch() allows: without them it is the limit, the
// largest response and the one that has exceeded the limit.
bool Http2Connection::is_crowded() const noexcept {
  const std::uint64_t limit = context_.limits.max_queued_output;
  if (limit == 0 || owed_ <= limit) return false;
  std::size_t owed = 0;
  std::size_t largest = 0;
  std::size_t second = 0;
  for (const Http2Stream& stream : streams_) {
    const std::size_t size = stream.failed() ? 0 : stream.owed();  // what was reset is about to be freed
    owed += size;
    second = std::max(second, std::min(size, largest));
    largest = std::max(largest, size);
  }
  return owed - largest - second > limit;
}

void Http2Connection::data(std::int32_t id, std::string_view bytes) {
  data_bytes_ += bytes.size();
  control_frames_.earn(static_cast<std::int64_t>(data_bytes_ / kDataPerFrame));
  data_bytes_ %= kDataPerFrame;
  if (Http2Stream* const stream = session_.find(id)) return stream->receive(bytes);
  session_.consume_unread(bytes.size());
}

bool Http2Connection::padding() { return control_frames_.spend(now()) || too_many(Count::limit_control_frames); }

void Http2Connection::body_ends(std::int32_t id) {
  if (Http2Stream* const stream = session_.find(id)) stream->finish_body();
}

void Http2Connection::frame_sent(const nghttp2_frame& frame) {
  constexpr std::size_t kFrameHead = 9;
  if (frame.hd.type == NGHTTP2_DATA) {
    data_bytes_ += frame.hd.length;
    control_frames_.earn(static_cast<std::int64_t>(data_bytes_ / kDataPerFrame));
    data_bytes_ %= kDataPerFrame;
    patience_.took(frame.hd.length, context_.limits.min_receive_rate);
  } else if (frame.hd.type == NGHTTP2_RST_STREAM) {
    // A client may provoke resets in place of sending them (CVE-2025-8671).
    const std::uint32_t error = frame.rst_stream.error_code;
    const bool provoked = error != NGHTTP2_NO_ERROR && error != NGHTTP2_CANCEL && error != NGHTTP2_INTERNAL_ERROR;
    if (provoked && !resets_.spend(now()) && !exceeded_) {
      static_cast<void>(too_many(Count::limit_stream_resets));
      terminate(NGHTTP2_ENHANCE_YOUR_CALM);
    }
    return;
  } else if (frame.hd.type != NGHTTP2_HEADERS) {
    return;
  }
  Http2Stream* const stream = session_.find(frame.hd.stream_id);
  if (stream == nullptr) return;
  stream->sent(frame.hd.length + kFrameHead, (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0);
  if (stream->takes_more() && frame.hd.type == NGHTTP2_DATA) taken_.push_back(stream->id());
  if (stream->is_tunnel() && frame.hd.type == NGHTTP2_DATA) control_frames_.earn(kFramesPerMessage);
}

void Http2Connection::priority_updated(std::int32_t id, std::string_view field) {
  if (id == 0) return static_cast<void>(protocol_error());
  Http2Stream* const stream = session_.find(id);
  if (stream == nullptr && id <= newest_) return;
  if (updated_.size() >= kMostUpdated && !updated_.contains(id)) return;
  const auto priority = read_priority(field);
  if (!priority) return;
  updated_[id] = *priority;
  if (stream != nullptr) stream->priority_updated();
}

void Http2Connection::block_not_sent(std::int32_t id) {
  if (Http2Stream* const stream = session_.find(id)) stream->block_not_sent();
}

void Http2Connection::stream_closed(std::int32_t id) {
  if (id == assembling_) assembling_ = 0;
  updated_.erase(id);
  Http2Stream* const stream = session_.find(id);
  if (stream == nullptr) return;
  stream->close(terminated_ ? Lost::cut : Lost::client_left);
  session_.set(id, nullptr);
  streams_.erase(stream->self);
}

Http2Tunnel& Http2Connection::open_tunnel(Http2Stream& stream) {
  Http2Tunnel& tunnel = tunnels_.emplace_front(*this, stream);
  tunnel.self = tunnels_.begin();
  return tunnel;
}

void Http2Connection::tunnel_ended(Http2Tunnel& tunnel) noexcept {
  tunnels_.erase(tunnel.self);
  if (gone_ && tunnels_.empty()) owner_.closed(*this);
}

// --- For the streams ------------------------------------------------------------------------------------------------

bool Http2Connection::respond(Http2Stream& stream, std::span<const nghttp2_nv> fields, bool has_body) {
  send_later();
  return session_.respond(stream.id(), fields, has_body ? &stream : nullptr);
}

void Http2Connection::send_interim(std::int32_t id, int status, std::string_view lines) {
  session_.send_interim(id, fields_.of_interim(status, lines));
  send_later();
}

void Http2Connection::send_trailers(std::int32_t id, std::string_view lines) {
  session_.send_trailers(id, fields_.of_trailers(lines));
}

void Http2Connection::prioritise(std::int32_t id, std::string_view priority, const nghttp2_extpri& asked) noexcept {
  const auto updated = updated_.find(id);
  session_.prioritise(id, parse_priority(priority, updated != updated_.end() ? updated->second : asked));
}

void Http2Connection::reset(std::int32_t id, std::uint32_t error) noexcept {
  session_.reset(id, error);
  send_later();
}

void Http2Connection::consume(std::int32_t id, std::size_t bytes) noexcept {
  session_.consume(id, bytes);
  send_later();
}

void Http2Connection::consume_unread(std::size_t bytes) noexcept {
  if (bytes == 0 || stream_.closing()) return;
  session_.consume_unread(bytes);
  send_later();
}

void Http2Connection::widen(std::int32_t id) noexcept {
  session_.widen(id);
  send_later();
}

bool Http2Connection::is_over(const Patience& patience) const noexcept {
  const auto limit_ms = static_cast<std::uint64_t>(context_.limits.write_timeout.count());
  return patience.over(limit_ms) || (patience.over(kCrowdedMs) && is_crowded());
}

void Http2Connection::wait(Patience& patience) const noexcept {
  const auto limit_ms = static_cast<std::uint64_t>(context_.limits.write_timeout.count());
  patience.wait(std::max(limit_ms, kCrowdedMs));
}

}  // namespace pronghorn::worker
