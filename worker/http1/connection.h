// One client that speaks HTTP/1: from bytes to exchanges, and from responses to bytes.
//
// Context:   loop thread of the worker that accepted it.
// Ownership: the HttpServer's list; destroyed through ConnectionOwner::closed() when libuv has let go of the socket.
//
// One exchange at a time: while a request waits for its handler, what follows it (pipelining) stays in unparsed_. The
// body of the message being received outlives its exchange when the handler answers without reading it: the rest is
// dropped.
//
// In three files: connection_input.cpp (from bytes to exchanges), connection_output.cpp (from responses to bytes) and
// connection.cpp (the rest: when it reads, waits and ends).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "worker/http/exchange.h"
#include "worker/http1/http_context.h"
#include "worker/http1/parser/chunked_decoder.h"
#include "worker/http1/parser/head_parser.h"
#include "worker/http1/response_head.h"
#include "worker/http1/streamed_response.h"
#include "worker/net/receive_rate.h"
#include "worker/net/socket_stream.h"
#include "worker/net/timeout_lists.h"

namespace pronghorn::worker {

class Http1Connection;

class ConnectionOwner {
 public:
  // The connection has ended; destroys it.
  virtual void closed(Http1Connection& connection) noexcept = 0;

 protected:
  ~ConnectionOwner() = default;
};

class Http1Connection final : public StreamEvents, public ExchangeOwner, public TimeoutEntry {
 public:
  // Takes `fd` over. The caller destroys it at once when ok() is false after close() has led to closed().
  // A `surplus` connection is one above max_connections: its request is answered 503.
  Http1Connection(HttpContext& context, ConnectionOwner& owner, int fd, bool is_unix, Peer peer, bool surplus);
  ~Http1Connection();

  void start();

  // The time of what waiting() says is up.
  void timed_out();
  // The deadline of its request has passed, if it has one.
  void check_deadline(std::chrono::steady_clock::time_point now);
  // The server is draining: an idle connection is closed, another after its response. A stream that has no end of its
  // own is ended.
  void drain(bool close_idle);
  // Now, whatever happens on it.
  void close() noexcept;

  [[nodiscard]] bool idle() const noexcept { return waiting() == Waiting::for_request; }

  // For StreamedResponse.
  void send_stream(std::string_view bytes);
  void stream_ended(std::exception_ptr error);
  void flush_at_end_of_turn(StreamedResponse& stream);
  void continue_next_turn(StreamedResponse& stream);
  [[nodiscard]] std::size_t queued() const noexcept { return stream_.queued(); }

 private:
  // Bytes of a body that nobody wants, before the connection is given up.
  static constexpr std::uint64_t kMaxDropped = 256 * 1024;
  enum class Body : std::uint8_t { none, length, chunked };
  enum class End : std::uint8_t {
    open,
    after_response,  // the current response is the last
    after_writes,    // nothing more is read; closed when all has been sent
    lingering,  // the same, but the client is still sending: read and drop for a while, or it never sees the answer
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
  void send_interim(Exchange& exchange, std::string_view head) override;

  void consume_unparsed();
  std::size_t consume(std::string_view bytes);
  std::size_t skip_empty_lines(std::string_view bytes) noexcept;
  std::size_t begin_request(std::string_view bytes);
  std::size_t head_incomplete(std::string_view bytes);
  void begin_exchange(std::string_view head, std::size_t first_line);
  std::size_t take_body(std::string_view bytes);
  std::size_t take_chunked(std::string_view bytes);
  void deliver(std::string_view data);
  void body_ended();
  void body_failed(int status, const char* reason);
  [[nodiscard]] bool receiving_paused() const noexcept;
  void received_too_slowly();
  void body_too_slow(const char* reason);

  void refuse(const Refusal& refusal);
  void send(Response& response, bool head_request);
  void send_file(std::unique_ptr<detail::FilePart> part, std::string& output);
  void begin_stream(Response& response, bool chunked);
  void append_body(std::string& output, const std::string& body);
  [[nodiscard]] bool last_response() noexcept;
  [[nodiscard]] bool owes_too_much() noexcept;
  [[nodiscard]] std::uint64_t bytes_before_response() const noexcept;
  void response_sent(int status);
  void finish_exchange();
  void record(int status);
  void cancel_exchange() noexcept;
  void end_if_last();
  void settle();
  void update_waiting();
  void count_sent() noexcept;

  HttpContext& context_;
  ConnectionOwner& owner_;
  Peer peer_;
  SocketStream stream_;
  Exchange* exchange_ = nullptr;
  std::unique_ptr<StreamedResponse> streamed_;
  std::string unparsed_;
  std::string* output_ = nullptr;  // while input is handled: responses gather here
  std::size_t scanned_ = 0;        // of the incomplete head
  std::size_t first_line_ = std::string_view::npos;
  std::uint64_t body_left_ = 0;
  std::uint64_t body_received_ = 0;
  std::uint64_t dropped_ = 0;  // bytes read only to be dropped
  std::uint64_t last_progress_ = 0;
  std::uint64_t sent_before_ = 0;  // bytes of the responses before this exchange's
  std::uint64_t counted_ = 0;      // of the bytes sent, in the scoreboard
  std::uint64_t opened_;           // tick
  ReceiveRate rate_;               // of the head or body that is being received
  ChunkedDecoder decoder_;
  std::uint32_t requests_ = 0;
  int stream_status_ = 0;
  Body body_ = Body::none;
  End end_ = End::open;
  bool keep_alive_ = true;        // as the current request wants it
  bool half_closed_ = false;      // the client sends no more
  bool continue_wanted_ = false;  // waits for "100 Continue"
  bool more_input_ = false;       // behind the request that is being begun
  bool surplus_;                  // above max_connections: gets 503
  bool owing_ = false;            // above max_queued_output, and counted
  bool idle_again_ = false;       // an exchange has ended since it was idle
  bool sending_file_ = false;
  bool shut_down_ = false;
};

}  // namespace pronghorn::worker
