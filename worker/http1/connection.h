// One client that speaks HTTP/1.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "worker/exchange/exchange.h"
#include "worker/exchange/request_record.h"
#include "worker/guardian/handoff.h"
#include "worker/http1/arrival.h"
#include "worker/http1/body_receiver.h"
#include "worker/http1/head_receiver.h"
#include "worker/http1/http_context.h"
#include "worker/http1/response_sender.h"
#include "worker/net/byte_stream.h"
#include "worker/net/receive_rate.h"
#include "worker/net/timeout_lists.h"

namespace pronghorn::worker {

class Http1Connection;

class ConnectionOwner {
 public:
  // The connection has ended. The owner destroys it, during the call or later.
  virtual void closed(Http1Connection& connection) noexcept = 0;

 protected:
  ~ConnectionOwner() = default;
};

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
class Http1Connection final : public StreamEvents, public ExchangeOwner, public TimeoutEntry {
 public:
  // All references outlive the connection. It is destroyed by its owner, after ConnectionOwner::closed(). A `surplus`
  // connection is one above max_connections: its request is answered 503.
  Http1Connection(HttpContext& context, ConnectionOwner& owner, ByteStream& stream, Peer peer, bool surplus);
  ~Http1Connection();

  // Begins to read. Requests that have already arrived may be handled before it returns.
  void start();
  // The same for a connection that another worker has served. `handed` must be valid during the call; `file` is the
  // open one that it names, null if it names none.
  void resume(const HandoffRecord& record, const Handed& handed, std::unique_ptr<detail::FilePart> file);

  // What waiting() says has lasted for its timeout.
  void timed_out();
  // To be called at each tick while a request runs: ends one whose deadline has passed.
  void check_deadline(std::chrono::steady_clock::time_point now);
  // The worker drains: ends a stream that does not end by itself and, with `close_idle`, an idle connection. From now
  // on each response is the last of its connection (HttpContext::draining).
  void drain(bool close_idle);
  // Whether another worker can go on with it now: no request is running, and everything was sent.
  [[nodiscard]] bool can_move() const noexcept;
  // What to move, without what belongs to the descriptor. The view is valid until the connection changes.
  struct Moving {
    HandoffRecord record;
    std::string_view unanswered;
  };
  [[nodiscard]] Moving moving() const noexcept;
  [[nodiscard]] LedgerNotes& notes() noexcept { return stream_.notes(); }
  // Closes the connection unconditionally. A request that is not answered counts as lost: Lost::cut.
  void close() noexcept { close(Lost::cut); }

  [[nodiscard]] bool idle() const noexcept { return waiting() == Waiting::for_request; }

  // For StreamedResponse.
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
  };
  enum class ClientSide : std::uint8_t { sending, finished };

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

  void take_in(std::string_view bytes);
  void consume_unparsed(bool just_read = false);
  std::size_t consume(std::string_view bytes);
  std::size_t begin_request(std::string_view bytes);
  void open_exchange();
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

  void end_after_response(End why) noexcept;
  void decide_end() noexcept;
  [[nodiscard]] bool request_running() const noexcept { return exchange_ != nullptr && !exchange_->responded; }
  [[nodiscard]] bool will_move() const noexcept { return context_.hands_over && stream_.notes().entry() != nullptr; }
  [[nodiscard]] bool holds_back() const noexcept;
  [[nodiscard]] bool owes_too_much() const noexcept;
  [[nodiscard]] bool next_waits() const noexcept;
  void settle();
  void end_if_last();
  void linger();
  void drop(std::size_t bytes);
  void update_waiting();
  void received_too_slowly();
  void body_too_slow(const char* reason);
  void count_sent() noexcept;
  [[nodiscard]] bool client_progressed() noexcept;
  [[nodiscard]] bool client_reads() noexcept;

  HttpContext& context_;
  ConnectionOwner& owner_;
  ByteStream& stream_;
  Peer peer_;
  HeadReceiver heads_;
  BodyReceiver body_;
  ResponseSender sender_;
  Arrival arrival_;
  ReceiveRate rate_;  // of the head or body that is being received
  Exchange* exchange_ = nullptr;
  std::string unparsed_;
  std::size_t behind_ = 0;           // bytes behind the head or piece of a body that is being consumed
  std::uint64_t dropped_ = 0;        // while lingering
  std::uint64_t last_progress_ = 0;  // bytes that the client had acknowledged when that was last looked at
  std::uint64_t silent_ticks_ = 0;   // for how long they have been the same
  std::uint64_t counted_;            // bytes sent, as far as the scoreboard has them
  std::uint64_t opened_;             // tick
  std::uint64_t begun_until_ = 0;
  RequestId crashed_;  // of the request that is guilty
  std::uint32_t requests_ = 0;
  std::uint32_t idle_after_ = 0;  // requests_ when it last became idle
  Begun begun_ = Begun::no;       // requests that begin before begun_until_
  bool catches_up_ = false;       // what another worker owed the client is being sent
  bool truncated_ = false;        // the rest of the request is gone
  End end_ = End::open;
  ClientSide client_ = ClientSide::sending;
  bool surplus_;
};

}  // namespace pronghorn::worker
