// One client that speaks HTTP/2 (RFC 9113).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/connection/arrival.h"
#include "worker/connection/client_progress.h"
#include "worker/connection/connection.h"
#include "worker/connection/http_context.h"
#include "worker/exchange/logging/request_record.h"
#include "worker/http2/protocol/frame_budget.h"
#include "worker/http2/protocol/frame_counter.h"
#include "worker/http2/protocol/head_assembly.h"
#include "worker/http2/protocol/patience.h"
#include "worker/http2/protocol/response_fields.h"
#include "worker/http2/session.h"
#include "worker/http2/stream.h"
#include "worker/http2/tunnel.h"
#include "worker/net/byte_stream.h"
#include "worker/net/socket/peer.h"

namespace pronghorn::worker {

// Turns the bytes of a stream into exchanges, many at a time: each stream of HTTP/2 is one (Http2Stream). nghttp2 does
// the framing (Http2Session); this decides what the client may cost, what the connection waits for and when it ends.
//
// Requests are dispatched when all that was read has been parsed, so one that is reset within the same read costs
// nothing. What they send gathers until then, or until the end of the turn, and leaves in one write. Frames are made
// only when the client has taken those before, so what it does not read stays with the handlers. While too much of its
// responses is in memory (max_queued_output), its next requests wait; handlers that run already may add theirs, which are
// given up, the newest first, if the client takes nothing.
//
// Streams that carry another protocol have a connection within this one (Http2Tunnel). When the client has gone, this
// one ends with the last of those.
//
// The connection ends with its worker: it is not in the ledger, and when the worker drains, the client is told to send
// new requests elsewhere (GOAWAY) while those that have begun are answered.
//
// Context: loop thread. In two files: connection.cpp (requests, limits) and connection_life.cpp (sending, waiting,
// ending).
class Http2Connection final : public Connection, public TurnWork, private Http2Events {
 public:
  // All references outlive the connection. It is destroyed by its owner, after ConnectionOwner::closed(). A `surplus`
  // connection is one above max_connections: its first requests are answered 503.
  Http2Connection(HttpContext& context, ConnectionOwner& owner, ByteStream& stream, Peer peer, bool surplus);
  ~Http2Connection() override;

  // Begins to read. `received`: what has arrived already, in two pieces. Requests may be handled before it returns.
  void start(std::string_view received = {}, std::string_view more = {});

  // Connection
  void timed_out() override;
  void check_deadline(std::chrono::steady_clock::time_point now) override;
  // Sends GOAWAY, and ends streams that do not end by themselves. The connection ends when the others have.
  void drain(bool close_idle) override;
  [[nodiscard]] bool can_move() const noexcept override { return false; }
  [[nodiscard]] HandoffSent hand_over(Ledger&, int) noexcept override { return HandoffSent::refused; }
  void moved() noexcept override { close(); }
  [[nodiscard]] LedgerNotes& notes() noexcept override { return stream_.notes(); }
  // Requests that are not answered count as lost: Lost::cut.
  void close() noexcept override;

  // For Http2Tunnel.
  [[nodiscard]] ConnectionOwner& owner() noexcept { return owner_; }
  [[nodiscard]] const Peer& peer() const noexcept { return peer_; }
  // Destroys it, and perhaps the connection.
  void tunnel_ended(Http2Tunnel& tunnel) noexcept;

  // For Http2Stream.
  [[nodiscard]] Http2Tunnel& open_tunnel(Http2Stream& stream);
  [[nodiscard]] HttpContext& context() noexcept { return context_; }
  [[nodiscard]] ResponseFields& fields() noexcept { return fields_; }
  [[nodiscard]] std::uint64_t now() const noexcept { return context_.timeouts.now(); }
  [[nodiscard]] bool client_left() const noexcept { return stream_.waited().peer == PeerState::gone; }
  [[nodiscard]] bool respond(Http2Stream& stream, std::span<const nghttp2_nv> fields, bool has_body);
  void send_interim(std::int32_t id, int status, std::string_view lines);
  void send_trailers(std::int32_t id, std::string_view lines);
  // What `priority` does not say is as in PRIORITY_UPDATE, if there was one, or `asked`, of the request.
  void prioritise(std::int32_t id, std::string_view priority, const nghttp2_extpri& asked) noexcept;
  void resume(std::int32_t id) noexcept { session_.resume(id); }
  void reset(std::int32_t id, std::uint32_t error) noexcept;
  void consume(std::int32_t id, std::size_t bytes) noexcept;
  void consume_unread(std::size_t bytes) noexcept;
  void widen(std::int32_t id) noexcept;
  // Whether the client's window stops this stream; of stream 0, all of them.
  [[nodiscard]] bool blocked(std::int32_t id) const noexcept { return session_.blocked(id); }
  // Whether the client has held back for too long what has this patience: for write_timeout, or for kCrowdedMs while
  // too many of its responses are in memory.
  [[nodiscard]] bool is_over(const Patience& patience) const noexcept;
  void wait(Patience& patience) const noexcept;
  // The same of all streams together.
  [[nodiscard]] bool patience_is_over() const noexcept { return is_over(patience_); }
  // Bytes of responses are in memory now, or not any more.
  void owes(std::size_t bytes) noexcept { owed_ += bytes; }
  void has_paid(std::size_t bytes) noexcept { owed_ -= bytes; }
  // Whether no stream may receive more of its body until a handler reads.
  [[nodiscard]] bool holds_back() const noexcept { return session_.holds_back(); }
  // Something is to be sent at the end of the turn at the latest.
  void send_later() noexcept;

 private:
  // For how long a client may take nothing while more of its responses are in memory than max_queued_output allows.
  static constexpr std::uint64_t kCrowdedMs = 2000;

  enum class End : std::uint8_t {
    open,
    announced,  // GOAWAY: no new requests please
    last,       // GOAWAY: newer requests are not answered; the connection ends with the last one
    lingering,  // everything was answered and a FIN sent: what the client sends is dropped until it closes
  };

  // StreamEvents
  void on_data(std::string_view bytes) override;
  void on_end() override { close(Lost::client_left); }
  void on_drained() override { send(); }
  void on_error() override { close(Lost::client_left); }
  void on_closed() override;
  // TurnWork
  void end_turn() override;
  void next_turn() override;
  // Http2Events
  [[nodiscard]] bool frame_begins(const nghttp2_frame_hd& frame) override;
  void block_begins(std::int32_t stream, bool request) override;
  [[nodiscard]] bool field(std::string_view name, std::string_view value) override;
  void block_ends(std::int32_t stream, bool request, bool last) override;
  void data(std::int32_t stream, std::string_view bytes) override;
  [[nodiscard]] bool padding() override;
  void body_ends(std::int32_t stream) override;
  [[nodiscard]] bool frame_refused(const nghttp2_frame& frame, int error) override;
  void priority_updated(std::int32_t stream, std::string_view field) override;
  void ping_acknowledged() override;
  void frame_sent(const nghttp2_frame& frame) override;
  void block_not_sent(std::int32_t stream) override;
  void stream_closed(std::int32_t stream) override;

  void receive(std::string_view bytes);
  void receive_failed(int error);
  void begin_request(Http2Stream& stream, bool last);
  void dispatch();
  [[nodiscard]] bool owes_too_much() const noexcept;
  [[nodiscard]] bool is_crowded() const noexcept;
  [[nodiscard]] bool spend_ignored(std::size_t frames) noexcept;
  [[nodiscard]] bool too_many(Count limit) noexcept;
  [[nodiscard]] bool protocol_error() noexcept;

  void send();
  void resume_producers();
  void settle();
  void update_waiting();
  void end_if_due();
  void announce_end() noexcept;
  void refuse_new() noexcept;
  void terminate(std::uint32_t error) noexcept;
  void linger();
  void close(Lost why) noexcept;
  void close_streams(Lost why) noexcept;
  void count_sent() noexcept;

  HttpContext& context_;
  ConnectionOwner& owner_;
  ByteStream& stream_;
  Peer peer_;
  Http2Session session_;
  ResponseFields fields_;
  HeadAssembly assembly_;
  FrameBudget resets_;
  FrameBudget control_frames_;
  FrameCounter frames_;
  std::size_t frames_told_ = 0;  // by nghttp2, of those of this read
  Arrival arrival_;
  ClientProgress progress_;
  std::list<Http2Stream> streams_;
  std::list<Http2Tunnel> tunnels_;
  std::map<std::int32_t, nghttp2_extpri> updated_;  // by PRIORITY_UPDATE: of streams that have not ended
  std::vector<std::int32_t> ready_;                 // requests to dispatch
  std::size_t kept_ = 0;                            // how many of those wait until the client has taken responses
  std::size_t owed_ = 0;                            // bytes of responses in memory
  std::vector<std::int32_t> taken_;                 // streams of producers of which something was sent
  std::uint64_t counted_;                           // bytes sent, as far as the scoreboard has them
  std::uint32_t opened_;                            // tick
  std::uint64_t block_began_ = 0;                   // tick, while a block is assembled
  std::uint64_t announced_ = 0;                     // tick of the first GOAWAY
  std::int32_t assembling_ = 0;                     // stream whose header block has begun and not ended
  std::int32_t newest_ = 0;                         // stream of the newest request, also of one that was refused
  std::int32_t skipped_from_ = 1;  // streams that the client has skipped last, and may not begin any more
  std::int32_t skipped_to_ = 0;
  Patience patience_;           // with the client, while its window holds all streams back
  std::uint64_t dropped_ = 0;   // bytes, while lingering
  std::size_t data_bytes_ = 0;  // sent and received, as far as they have not earned a control frame
  std::uint32_t requests_ = 0;
  std::uint32_t continuations_ = 0;  // of this block
  End end_ = End::open;
  bool exceeded_ = false;    // a limit: the session ends with ENHANCE_YOUR_CALM
  bool terminated_ = false;  // by the server, for what the client has done
  bool sending_ = false;
  bool yielding_ = false;  // next_turn() will be called
  bool send_due_ = false;  // end_turn() will be called
  bool gone_ = false;      // the client's connection has closed, and tunnels may not have
  bool surplus_;
};

}  // namespace pronghorn::worker
