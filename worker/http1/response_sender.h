// Turns responses into bytes on a connection's stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "pronghorn/response.h"
#include "worker/connection/http_context.h"
#include "worker/connection/streamed_response.h"
#include "worker/http/response_rules.h"
#include "worker/net/byte_stream.h"

namespace pronghorn::worker {

class Http1Connection;

// Context: loop thread; a member of its connection. One response at a time, in the order of the requests.
class ResponseSender {
 public:
  ResponseSender(HttpContext& context, ByteStream& stream) noexcept : context_(context), stream_(stream) {}

  // While a batch lives, responses gather in one buffer, which is written at its end.
  class Batch {
   public:
    explicit Batch(ResponseSender& sender) : sender_(sender) { sender.output_ = &sender.context_.outputs.acquire(); }
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;
    ~Batch() { sender_.write_batch(); }

   private:
    ResponseSender& sender_;
  };
  [[nodiscard]] bool gathering() const noexcept { return output_ != nullptr; }
  // Bytes that are not written yet. Within a batch.
  [[nodiscard]] std::size_t gathered() const noexcept { return output_->size(); }
  // Writes what has gathered when that is much. Within a batch.
  void write_if_much();

  // A request begins: the bytes of its response are counted from here.
  void begin_response() noexcept { bytes_before_ = bytes_so_far(); }
  // Sends an interim response (1xx), rendered whole.
  void send_interim(std::string_view head);

  enum class Sent : std::uint8_t {
    whole,       // handed to the stream, which may still queue some of it
    under_way,   // a file: done when file_sent(). A produced body: Http1Connection::stream_ended() is called
    closed,      // the client has left
    short_file,  // the file has become shorter than was announced
  };
  // Sends the final response to `exchange`, within a batch. `last`: the connection ends after it. `connection` is whose
  // member this is.
  [[nodiscard]] Sent send(Http1Connection& connection, Exchange& exchange, Response& response,
                          const ResponseContent& content, bool last);
  // Bytes that follow what was sent. Within a batch.
  void append(std::string_view bytes) { output_->append(bytes); }
  // The stream has drained. True when a file was under way and has now been sent.
  [[nodiscard]] bool file_sent() noexcept;

  // The produced body that is under way; null: none.
  [[nodiscard]] StreamedResponse* produced() const noexcept { return produced_.get(); }
  // Sends the end of the produced body. Its producer is destroyed at the end of the turn.
  void finish_produced();
  // The client has disconnected: ends the current response. A producer stays suspended until the end of the turn.
  void cancel() noexcept;
  // Whether closing the connection now would look like the regular end of a body.
  [[nodiscard]] bool ends_with_connection() const noexcept { return state_ == State::produced_until_close; }

  [[nodiscard]] int status() const noexcept { return status_; }
  // Bytes of the current response so far, with its interim responses.
  [[nodiscard]] std::uint64_t response_bytes() const noexcept { return bytes_so_far() - bytes_before_; }

 private:
  enum class State : std::uint8_t { idle, file, produced, produced_until_close };

  void write_batch();
  [[nodiscard]] std::uint64_t bytes_so_far() const noexcept;
  [[nodiscard]] Sent send_long_body(const std::string& body);
  [[nodiscard]] Sent send_file(std::unique_ptr<detail::FilePart> part);
  [[nodiscard]] Sent begin_produced(Http1Connection& connection, Exchange& exchange, Response& response, bool chunked);

  HttpContext& context_;
  ByteStream& stream_;
  std::string* output_ = nullptr;  // within a batch
  std::unique_ptr<StreamedResponse> produced_;
  std::uint64_t bytes_before_ = 0;  // of the responses before this one
  int status_ = 0;
  State state_ = State::idle;
};

}  // namespace pronghorn::worker
