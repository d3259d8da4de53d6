// The HTTP/2 session of nghttp2 on the server's side: framing, HPACK, flow control, states of streams, priorities.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/config/config.h"

namespace pronghorn::worker {

class Http2Stream;

// What a session reports. All are called from within receive() or send(), and must call neither.
class Http2Events {
 public:
  // A frame has begun to arrive. False ends the connection: receive() fails.
  [[nodiscard]] virtual bool frame_begins(const nghttp2_frame_hd& frame) = 0;
  // A header block begins: of a new request, or of the trailer section of one.
  virtual void block_begins(std::int32_t stream, bool request) = 0;
  // The next field of that block. False ends the connection.
  [[nodiscard]] virtual bool field(std::string_view name, std::string_view value) = 0;
  // The block is complete and valid. `last`: the client sends nothing more in this stream.
  virtual void block_ends(std::int32_t stream, bool request, bool last) = 0;
  // Part of a body. The stream's window stays smaller by as much until consume().
  virtual void data(std::int32_t stream, std::string_view bytes) = 0;
  // A DATA frame that had nothing but padding. False ends the connection.
  [[nodiscard]] virtual bool padding() = 0;
  // The body was complete.
  virtual void body_ends(std::int32_t stream) = 0;
  // nghttp2 has refused a frame: it resets the stream, or ends the session. False ends the connection.
  [[nodiscard]] virtual bool frame_refused(const nghttp2_frame& frame, int error) = 0;
  // PRIORITY_UPDATE for a stream, which may not have begun: `field` is in place of the request's Priority. nghttp2 follows
  // it unless Http2Session::prioritise() was called.
  virtual void priority_updated(std::int32_t stream, std::string_view field) = 0;
  // The client has acknowledged a PING of ours.
  virtual void ping_acknowledged() = 0;
  // A frame was given to the output.
  virtual void frame_sent(const nghttp2_frame& frame) = 0;
  // A header block could not be sent: it is too large for nghttp2 (64 KiB).
  virtual void block_not_sent(std::int32_t stream) = 0;
  // The stream has ended, in whatever way.
  virtual void stream_closed(std::int32_t stream) = 0;

 protected:
  ~Http2Events() = default;
};

// Context:   loop thread; one per connection.
// Ownership: the connection. `events` must outlive it.
class Http2Session {
 public:
  // The window of the connection: what clients may send before handlers read it, of all streams together.
  static constexpr std::int32_t kConnectionWindow = 1024 * 1024;
  // The window of a stream until its handler reads the body, and from then on.
  static constexpr std::int32_t kUnreadWindow = 64 * 1024;
  static constexpr std::int32_t kReadWindow = 256 * 1024;

  // Queues the server's SETTINGS. Throws std::bad_alloc.
  Http2Session(Http2Events& events, const HttpLimits& limits);

  // Takes all of `bytes`, and reports what is in them. Zero, or an error of nghttp2 after which nothing more must be
  // received: a value of nghttp2_error.
  [[nodiscard]] int receive(std::string_view bytes);

  enum class Sent { all, more, failed };
  // Appends frames to `out` until none is left, or until it has `enough` bytes and a little more.
  [[nodiscard]] Sent send(std::string& out, std::size_t enough);

  // Null if the stream has ended.
  [[nodiscard]] Http2Stream* find(std::int32_t stream) const noexcept;
  void set(std::int32_t id, Http2Stream* stream) noexcept;

  // The final response. With a `source`, its body follows: pieces are asked from that.
  [[nodiscard]] bool respond(std::int32_t id, std::span<const nghttp2_nv> fields, Http2Stream* source);
  void send_interim(std::int32_t id, std::span<const nghttp2_nv> fields);
  void send_trailers(std::int32_t id, std::span<const nghttp2_nv> fields);
  // What the application says goes before what the client says, from now on.
  void prioritise(std::int32_t id, const nghttp2_extpri& priority) noexcept;
  // A source that had nothing to send has something.
  void resume(std::int32_t id) noexcept;
  void reset(std::int32_t id, std::uint32_t error) noexcept;

  // The application has taken `bytes` of a body: the client may send as many more.
  void consume(std::int32_t id, std::size_t bytes) noexcept;
  void consume_unread(std::size_t bytes) noexcept;  // of a stream that has ended
  void widen(std::int32_t id) noexcept;             // its handler reads: kReadWindow
  // Whether the client lets the server send nothing in this stream; of stream 0, nothing at all.
  [[nodiscard]] bool blocked(std::int32_t id) const noexcept;
  // Whether the client may send no body in any stream until something is consumed.
  [[nodiscard]] bool holds_back() const noexcept;

  // GOAWAY in two steps (RFC 9113 section 6.8): no new requests please, with a PING to learn when the client knows; and
  // then, nothing that is newer than what has arrived by now will be answered.
  void announce_end() noexcept;
  void refuse_new() noexcept;
  // GOAWAY with an error: nothing more is received.
  void terminate(std::uint32_t error) noexcept;
  // Nothing is left to receive or to send.
  [[nodiscard]] bool finished() const noexcept;

 private:
  struct Deleter {
    void operator()(nghttp2_session* session) const noexcept { nghttp2_session_del(session); }
  };
  struct Callbacks;

  Http2Events& events_;
  std::unique_ptr<nghttp2_session, Deleter> session_;
  std::string* output_ = nullptr;  // during send()
  std::size_t enough_ = 0;
  bool paused_ = false;
};

}  // namespace pronghorn::worker
