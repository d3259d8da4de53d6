#include "worker/http1/response_sender.h"

#include <utility>

#include "worker/http/response_access.h"
#include "worker/http1/connection.h"
#include "worker/http1/response_head.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kMaxGathered = 32 * 1024;  // bytes of a batch before they are written
constexpr std::size_t kCopied = 32 * 1024;       // below, a copy costs less than one more system call
constexpr std::size_t kMaxBody = 1024 * 1024;    // above, it becomes a file

class Http1StreamedResponse final : public StreamedResponse {
 public:
  Http1StreamedResponse(Http1Connection& connection, EndOfTurn& end_of_turn,
                        std::unique_ptr<Response::Producer> producer, Kind kind)
      : StreamedResponse(end_of_turn, std::move(producer), kind), connection_(connection) {}

 protected:
  void send(std::string_view bytes) override { connection_.send_stream(bytes); }
  void ended(std::exception_ptr error) override { connection_.stream_ended(std::move(error)); }
  [[nodiscard]] std::size_t queued() const noexcept override { return connection_.queued(); }

 private:
  Http1Connection& connection_;
};

}  // namespace

void ResponseSender::write_batch() {
  std::string& output = *std::exchange(output_, nullptr);
  stream_.write(output);
  context_.outputs.release(output);
}

void ResponseSender::write_if_much() {
  if (output_->size() <= kMaxGathered) return;
  stream_.write(*output_);
  output_->clear();
}

std::uint64_t ResponseSender::bytes_so_far() const noexcept {
  return stream_.bytes_sent() + stream_.queued() + (output_ != nullptr ? output_->size() : 0);
}

void ResponseSender::send_interim(std::string_view head) {
  if (output_ != nullptr) {
    output_->append(head);
  } else {
    stream_.write(head);
  }
}

ResponseSender::Sent ResponseSender::send(Http1Connection& connection, Exchange& exchange, Response& response,
                                          const ResponseContent& content, bool last) {
  const bool http_1_0 = exchange.head.minor_version == 0;
  const bool produced = ResponseAccess::producer(response) != nullptr;
  const ResponseFraming framing{
      .content_length = content.length,
      .chunked = produced && !http_1_0,
      .close = last,
      .keep_alive_1_0 = http_1_0 && !last,
      .request_id = exchange.id(),
      .traceparent = exchange.caller_trace().empty() ? std::string_view() : exchange.traceparent(),
  };
  status_ = response.status();
  const bool whole = ResponseAccess::has_whole_body(response);
  const bool copied = content.sent && whole && response.body().size() <= kCopied;
  append_response_head(*output_, response, framing, copied ? response.body() : std::string_view());
  if (copied || !content.sent) return Sent::whole;
  if (produced) return begin_produced(connection, exchange, response, framing.chunked);
  return whole ? send_long_body(response.body()) : send_file(std::move(ResponseAccess::file(response)));
}

ResponseSender::Sent ResponseSender::send_long_body(const std::string& body) {
  // The ledger has no room for many of these; a file outlives this worker as well.
  if (output_->size() + body.size() > kMaxBody && stream_.notes().entry() != nullptr) {
    if (const int file = memory_file(body); file >= 0) {
      return send_file(std::make_unique<detail::FilePart>(std::make_shared<const OpenFile>(file), 0, body.size()));
    }
  }
  stream_.write(*output_, body);
  output_->clear();
  return stream_.closing() ? Sent::closed : Sent::whole;
}

ResponseSender::Sent ResponseSender::send_file(std::unique_ptr<detail::FilePart> part) {
  if (part->file->in_memory() || part->length <= kCopied) {
    if (part->file->append(*output_, part->offset, static_cast<std::size_t>(part->length))) return Sent::whole;
    // The connection is closed before the batch ends, and what has gathered would be lost. It answers nothing.
    stream_.notes().begin_response(0);
    stream_.write(*output_);
    output_->clear();
    return stream_.closing() ? Sent::closed : Sent::short_file;
  }
  stream_.write_file(*output_, std::move(part));
  output_->clear();
  if (stream_.closing()) return Sent::closed;
  if (stream_.queued() == 0) return Sent::whole;
  state_ = State::file;
  return Sent::under_way;
}

bool ResponseSender::file_sent() noexcept {
  if (state_ != State::file) return false;
  state_ = State::idle;
  return true;
}

ResponseSender::Sent ResponseSender::begin_produced(Http1Connection& connection, Exchange& exchange, Response& response,
                                                    bool chunked) {
  const bool ends_on_drain = ResponseAccess::ends_on_drain(response);
  produced_ = std::make_unique<Http1StreamedResponse>(
      connection, context_.end_of_turn, std::move(ResponseAccess::producer(response)),
      StreamedResponse::Kind{.chunked = chunked, .ends_on_drain = ends_on_drain});
  state_ = chunked ? State::produced : State::produced_until_close;
  stream_.write(*output_);
  output_->clear();
  if (stream_.closing()) return Sent::closed;
  if (ends_on_drain && context_.draining) {
    finish_produced();
    return stream_.closing() ? Sent::closed : Sent::whole;
  }
  produced_->start(exchange);
  return Sent::under_way;
}

void ResponseSender::finish_produced() {
  produced_->finish();
  if (stream_.closing()) return;  // the client has left, and with it the producer
  context_.end_of_turn.destroy(std::move(produced_));
  state_ = State::idle;
}

void ResponseSender::cancel() noexcept {
  state_ = State::idle;
  if (produced_ == nullptr) return;
  produced_->detach();
  context_.end_of_turn.destroy(std::move(produced_));
}

}  // namespace pronghorn::worker
