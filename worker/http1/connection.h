// One client that speaks HTTP/1.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "worker/connection/arrival.h"
#include "worker/connection/client_progress.h"
#include "worker/connection/connection.h"
#include "worker/connection/http_context.h"
#include "worker/exchange/exchange.h"
#include "worker/exchange/logging/request_record.h"
#include "worker/guardian/handoff/handoff.h"
#include "worker/http1/body_receiver.h"
#include "worker/http1/head_receiver.h"
#include "worker/http1/response_sender.h"
#include "worker/net/byte_stream.h"
#include "worker/net/receive_rate.h"
#include "worker/net/timeout_lists.h"

namespace pronghorn::worker {

// Turns the bytes of a stream into exchanges, one at a time and in order, and decides when the connection reads, what
// it waits for and when it ends. HeadReceiver, BodyReceiver and ResponseSender do the parts.
//
// While a request waits for its handler, requests that follow it (pipelining) stay unparsed. The body being received
// outlives its exchange if the handler answers without reading it: the rest is dropped.
//
// When the server ends the connection, it sends a FIN after the last response and drops what the client still sends,
// until the client closes, for a limited time and number of bytes: closing with bytes unread, or bytes that arrive
// after closing, would reset the connection and destroy the response on its way (RFC 9112 section 9.6).
//
// Context: loop thread. In two files: connection.cpp (requests, responses) and connection_life.cpp (reading, waiting,
// ending).
class Http1Connection final : public Connection, public ExchangeOwner {
 public:
  // All references outlive the connection. It is destroyed by its owner, after ConnectionOwner::closed(). A `surplus`
  // connection is one above max_connections: its request is answered 503.
  Http1Connection(HttpContext& context, ConnectionOwner& owner, ByteStream& stream, Peer peer, bool surplus);
  ~Http1Connection() override;

  // Begins to read. Requests that have already arrived may be handled before it returns.
  void start();
  // The same for a connection that another worker has served. `handed` must be valid during the call; `file` is the
  // open one that it names, null if it names none.
  void resume(const HandoffRecord& record, const Handed& handed, std::unique_ptr<detail::FilePart> file);

  // Connection
  void timed_out() override;
  void check_deadline(std::chrono::steady_clock::time_point now) override;
  // Ends a stream that does not end by itself, too. From now on each response is the last of its connection.
  void drain(bool close_idle) override;
  [[nodiscard]] bool can_move() const noexcept override;
  [[nodiscard]] HandoffSent hand_over(Ledger& ledger, int queue) noexcept override;
  void moved() noexcept override { close(); }
  [[nodiscard]] LedgerNotes& notes() noexcept override { return stream_.notes(); }
  // A request that is not answered counts as lost: Lost::cut.
  void close() noexcept override { close(Lost::cut); }

  // What an HTTP/2 connection begins with, as far as it looks like the head of a request.
  static constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\n";

  // After ConnectionOwner::upgraded(): what follows HTTP/1 on this connection, and the bytes that the client has sent
  // for it already.
  struct Upgraded {
    std::unique_ptr<detail::Upgrade> to;  // null: HTTP/2, of whose preface kHttp2Preface was taken
    std::string unparsed;
    Peer peer;
  };
  [[nodiscard]] Upgraded take_upgrade() noexcept;

  [[nodiscard]] bool idle() const noexcept { return waiting() == Waiting::for_request; }

  // For the StreamedResponse.
  void send_stream(std::string_view bytes);
  void stream_ended(std::exception_ptr error);
  [[nodiscard]] std::size_t queued() const noexcept { return stream_.queued(); }

 private:
  enum class End : std::uint8_t {
    open,
    asked,      // by the client ("Connection: close", HTTP/1.0): the current response is the last
    decided,    // by the server: the same, but the client may be sending more
    closing,    // everything was answered; closed as soon as it has been sent
    lingering,  // everything was answered and a FIN sent: what the client sends is dropped until it closes
    upgraded,   // the protocol has changed
  };
  enum class ClientSide : std::uint8_t { sending, finished };
  // What dead workers had begun: requests before the position `until`.
  struct BegunBefore {
    Begun how;
    std::uint64_t until;
    RequestId crashed;  // of the request that is guilty
  };

  // StreamEvents
  void on_data(std::string_view bytes) override;
  void on_end() override;
  void on_drained() override;
  void on_error() override;
  void on_closed() override;
  // ExchangeOwner
  void respond(Exchange& exchange, Response&& response) override;
  void want_body(Exchange& exchange) override;
  void send_early_hints(Exchange& exchange, std::string_view head) override;
  [[nodiscard]] bool client_left() const noexcept override;

  void take_in(std::string_view bytes);
  void consume_unparsed(bool just_read = false);
  std::size_t consume(std::string_view bytes);
  std::size_t begin_request(std::string_view bytes);
  void report_tls();
  void open_exchange();
  [[nodiscard]] bool begins_http2(const Refusal& refusal) const noexcept;
  void become_http2();
  void interrupt(Exchange& exchange, std::uint64_t position) noexcept;
  void begin_exchange(std::string_view head, std::size_t first_line);
  std::size_t take_body(std::string_view bytes);
  void body_failed(int status, const char* reason);
  void refuse(const Refusal& refusal);
  void send_interim(std::string_view head);
  void send(Exchange& exchange, Response& response);
  void response_sent();
  void finish_exchange();
  void cancel_exchange(Lost why) noexcept;
  void close(Lost why) noexcept;
  void report_short_file();

  void upgrade(Exchange& exchange, Response& response);
  void end_after_response(End why) noexcept;
  void decide_end() noexcept;
  [[nodiscard]] std::string_view unparsed() const noexcept {
    return unparsed_ != nullptr ? std::string_view(*unparsed_) : std::string_view();
  }
  [[nodiscard]] bool request_running() const noexcept { return exchange_ != nullptr && !exchange_->responded; }
  [[nodiscard]] bool will_move() const noexcept { return context_.hands_over && stream_.notes().entry() != nullptr; }
  [[nodiscard]] bool holds_back() const noexcept;
  [[nodiscard]] bool owes_too_much() const noexcept;
  [[nodiscard]] bool next_waits() const noexcept;
  [[nodiscard]] bool left_unread() noexcept;
  void settle();
  void end_cut_body();
  void end_if_last();
  void linger();
  void drop(std::size_t bytes);
  void update_waiting();
  void received_too_slowly();
  void body_too_slow(const char* reason);
  void count_sent() noexcept;

  HttpContext& context_;
  ConnectionOwner& owner_;
  ByteStream& stream_;
  Peer peer_;
  std::unique_ptr<detail::Upgrade> upgrade_;
  std::unique_ptr<std::string> unparsed_;  // null: nothing is
  std::unique_ptr<BegunBefore> begun_;     // null: there are none
  Exchange* exchange_ = nullptr;
  std::uint64_t counted_;  // bytes sent, as far as the scoreboard has them
  // Most connections are idle, so their size counts: the padding of these members has what follows them.
  [[no_unique_address]] BodyReceiver body_;
  End end_ = End::open;
  ClientSide client_ = ClientSide::sending;
  bool surplus_;
  std::uint32_t requests_ = 0;
  HeadReceiver heads_;
  [[no_unique_address]] ResponseSender sender_;
  bool is_followed_ = false;  // more bytes are behind the head that is being consumed
  bool catches_up_ = false;   // what another worker owed the client is being sent
  bool truncated_ = false;    // the rest of the request is gone
  bool end_waits_ = false;    // the client's end is behind bytes that are not read
  [[no_unique_address]] ClientProgress progress_;
  std::uint32_t idle_after_ = 0;            // requests_ when it last became idle
  [[no_unique_address]] ReceiveRate rate_;  // of the head or body that is being received
  std::uint32_t dropped_ = 0;               // bytes, while lingering
  [[no_unique_address]] Arrival arrival_;
  std::uint32_t opened_;  // tick
};

}  // namespace pronghorn::worker
