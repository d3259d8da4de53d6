// One request and its response within an HTTP/2 connection.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "worker/connection/streamed_response.h"
#include "worker/exchange/exchange.h"
#include "worker/exchange/logging/request_record.h"
#include "worker/http2/protocol/patience.h"
#include "worker/net/receive_rate.h"

namespace pronghorn::worker {

class Http2Connection;
class Http2Tunnel;

// Receives the body that its handler reads, within the window that the client has, and holds what is to be sent until
// the client's window takes it. An extended CONNECT that is accepted makes a tunnel of it (Http2Tunnel), which receives
// and sends from then on.
//
// Context:   loop thread.
// Ownership: its Http2Connection, until nghttp2 has closed the stream.
class Http2Stream final : public ExchangeOwner {
 public:
  Http2Stream(Http2Connection& connection, std::int32_t id) noexcept : connection_(connection), id_(id) {}
  Http2Stream(const Http2Stream&) = delete;
  Http2Stream& operator=(const Http2Stream&) = delete;
  ~Http2Stream();

  [[nodiscard]] std::int32_t id() const noexcept { return id_; }
  // Null before the head is complete, and after the response.
  [[nodiscard]] Exchange* exchange() const noexcept { return exchange_; }

  // --- The request --------------------------------------------------------------------------------------------------

  // The head is complete and valid, but not dispatched. `last`: there is no body.
  void begin(Exchange& exchange, bool last);
  // It is dispatched, or refused.
  void count_in_flight() noexcept;
  // Part of the body. May resume the handler.
  void receive(std::string_view bytes);
  // The body is complete.
  void finish_body();

  // --- The response -------------------------------------------------------------------------------------------------

  // For nghttp2: how much of the body may go into a frame of up to `size` bytes; or an error of nghttp2.
  [[nodiscard]] ssize_t offer(std::size_t size, std::uint32_t& flags);
  // Appends as much as offer() has said. False: it cannot, and the stream is to be reset.
  [[nodiscard]] bool write(std::string& out, std::size_t size);
  // A frame of `size` bytes was sent. `last`: the response is complete.
  void sent(std::size_t size, bool last);
  // The client has sent PRIORITY_UPDATE.
  void priority_updated() noexcept;
  // The fields of the response or its trailers are too large for nghttp2.
  void block_not_sent() noexcept;
  // Lets the producer write again, if there is room.
  void resume_producer();
  // Bytes of the response that are in memory until the client takes them.
  [[nodiscard]] std::size_t owed() const noexcept { return file_ != nullptr ? 0 : bytes_.size() - bytes_sent_; }
  // Whether the server has reset it.
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  // Whether part of the response, or its end, waits for the client.
  [[nodiscard]] bool waits_for_client() const noexcept {
    return exchange_ != nullptr && exchange_->responded && !failed_ && (available() != 0 || ended_);
  }
  // Whether a producer waits that the client take what it has written.
  [[nodiscard]] bool takes_more() const noexcept { return produced_ != nullptr; }

  // --- The tunnel ---------------------------------------------------------------------------------------------------

  [[nodiscard]] bool is_tunnel() const noexcept { return tunnel_ != nullptr; }
  // What has arrived was read: the client may send as much again.
  void consume() noexcept;
  // There is more to send, or an end.
  void resume_output() noexcept;
  // END_STREAM follows what is to be sent.
  void end_output() noexcept;
  // The protocol has ended. The stream is reset now if that is `aborted`, or when the client does not end it, too.
  void leave_tunnel(bool aborted) noexcept;

  // --- Its end ------------------------------------------------------------------------------------------------------

  // Called at each tick: ends what has lasted too long.
  void check(std::chrono::steady_clock::time_point now);
  // The worker drains: ends a stream that does not end by itself.
  void drain();
  // nghttp2 has closed the stream, or the connection ends: the handler is destroyed at the end of the turn. The stream
  // may be destroyed afterwards.
  void close(Lost why) noexcept;

  // Where it is in its connection's list.
  std::list<Http2Stream>::iterator self;

 private:
  class Produced;

  // ExchangeOwner
  void respond(Exchange& exchange, Response&& response) override;
  void want_body(Exchange& exchange) override;
  void send_early_hints(Exchange& exchange, std::string_view head) override;
  [[nodiscard]] bool client_left() const noexcept override;

  [[nodiscard]] bool request_running() const noexcept { return exchange_ != nullptr && !exchange_->responded; }
  [[nodiscard]] bool receives_body() const noexcept { return body_open_ && tunnel_ == nullptr; }
  [[nodiscard]] bool awaits_data() const noexcept;
  [[nodiscard]] std::size_t available() const noexcept;
  void begin_produced(Response& response);
  void send_produced(std::string_view bytes);
  void producer_ended(const std::exception_ptr& error);
  void body_failed(int status, const char* reason);
  void body_too_slow(const char* reason);
  void drop(std::size_t bytes) noexcept;
  [[nodiscard]] bool accept_tunnel(Response& response);
  void send_interim(int status, std::string_view lines);
  void fail(std::uint32_t error) noexcept;
  void report_short_file() noexcept;
  void finish_exchange();

  Http2Connection& connection_;
  std::int32_t id_;
  Exchange* exchange_ = nullptr;

  // The request.
  std::size_t unread_ = 0;   // bytes by which the window is smaller, because they were not consumed
  std::size_t dropped_ = 0;  // bytes of a body that nobody reads
  std::uint64_t heard_ = 0;  // tick of the last bytes, or of the time from which the client may send
  ReceiveRate rate_;
  bool in_flight_ = false;  // counted
  bool body_open_ = false;  // the client has not sent all
  bool awaits_continue_ = false;
  bool gave_up_ = false;  // what still comes of the body is dropped
  bool widened_ = false;

  // The response.
  std::string bytes_;           // of the body, or of what its producer has written
  std::size_t bytes_sent_ = 0;  // of those
  std::unique_ptr<detail::FilePart> file_;
  std::unique_ptr<StreamedResponse> produced_;  // while it produces
  std::string trailers_;
  std::string priority_;              // its field Priority
  std::uint64_t response_bytes_ = 0;  // with frames, as they were sent
  Patience patience_;                 // with the client, while part of it waits
  int status_ = 0;
  bool ended_ = true;      // the source has all of the body
  bool deferred_ = false;  // nghttp2 asks no more until it is resumed
  bool failed_ = false;    // reset by the server

  // The tunnel.
  Http2Tunnel* tunnel_ = nullptr;  // null: it is none, or its protocol has ended
  bool tunnelled_ = false;         // it was accepted
  bool left_ = false;              // the protocol has ended in order, and the client may take its time to do so
  bool end_sent_ = false;          // END_STREAM
};

}  // namespace pronghorn::worker
