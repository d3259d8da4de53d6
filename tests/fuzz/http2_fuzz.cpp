// A whole HTTP/2 connection in memory: whatever arrives, however the network cuts it, every request ends, what handlers
// see is well-formed, and what is sent are whole frames.
#include <memory>

#include "framing/http2_cases.h"
#include "fuzz/fuzz_target.h"
#include "pronghorn/error.h"
#include "worker/fields/characters.h"
#include "worker/http2/connection.h"
#include "worker/testing/client/memory_stream.h"

namespace pronghorn::fuzz {
namespace {

using worker::Exchange;

// Answers with the body, read as a whole or piece by piece; with a stream; or never.
class Echo final : public worker::RequestHandler {
 public:
  void handle(Exchange& exchange) noexcept override {
    check(exchange.head);
    exchange.body.set_limit(1000) ? serve(exchange) : exchange.owner->respond(exchange, problem(413));
  }
  void deadline_passed(Exchange&) noexcept override {}
  void refuse(Exchange& exchange, int status, std::string_view reason) noexcept override {
    exchange.running.reset();
    exchange.owner->respond(exchange, problem(status, reason));
  }

 private:
  static void check(const worker::RequestHead& head) {
    require(worker::is_token(head.method), "a method is a token");
    require(head.path.starts_with('/') || head.path == "*", "a path is absolute");
    require(head.has(worker::KnownHeader::host), "a request has a host");
    for (std::size_t i = 0; i < head.field_count; ++i) {
      require(worker::is_token(head.fields[i].name), "the name of a field is a token");
      require(worker::is_field_value(head.fields[i].value), "the value of a field has no control characters");
    }
  }

  static void serve(Exchange& exchange) {
    if (exchange.head.path.starts_with("/never")) return;
    if (exchange.head.path.starts_with("/stream")) {
      return exchange.owner->respond(exchange, stream("text/plain", [](Writer& writer) -> Task<void> {
                                       for (int i = 0; i < 20; ++i) co_await writer.write("some text of a stream");
                                       writer.trailer("Checksum", "1");
                                     }));
    }
    exchange.running = echo(exchange);
    exchange.running.start();
  }

  static Task<void> echo(Exchange& exchange) {
    Response response;
    try {
      std::string body;
      while (const auto piece = co_await exchange.request.read()) body.append(*piece);
      require(body.size() <= 1000, "a body is not larger than allowed");
      response = text(std::move(body));
    } catch (const HttpError& error) {
      response = problem(error.status());
    }
    exchange.owner->respond(exchange, std::move(response));
  }
};

class Talk final : private worker::ConnectionOwner {
 public:
  Talk() {
    config_.access_log = "off";
    config_.http.max_header_bytes = 2000;
    stream_.report_to(connection_);
    connection_.start();
  }

  template <class Cut>
  void run(Cut cut) {
    std::string answers = stream_.received();
    std::string preface = test::http2_preface();
    send(preface);
    while (!cut.empty()) send(cut.next());
    answers += stream_.received();
    check_frames(answers);
    if (open()) stream_.finish_sending();
    context_.end_of_turn.run();
    require(!open() || stream_.fin_sent(), "a connection ends when its client has");
    if (open()) connection_.close();
    context_.end_of_turn.run();
    require((*row_)[Count::in_flight].load() == 0, "no request is left over");
  }

 private:
  [[nodiscard]] bool open() const { return stream_.ended() == worker::MemoryStream::Ended::no; }
  void send(std::string_view bytes) {
    if (open()) stream_.send(bytes);
    for (int turn = 0; turn < 3; ++turn) {
      context_.end_of_turn.run();
      context_.end_of_turn.resume();
    }
    context_.end_of_turn.run();
  }
  static void check_frames(std::string_view bytes) {
    constexpr std::size_t kHead = 9;
    while (!bytes.empty()) {
      require(bytes.size() >= kHead, "a frame has a head");
      const auto byte = [bytes](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
      const std::size_t size = (std::size_t{byte(0)} << 16) + (std::size_t{byte(1)} << 8) + byte(2);
      require(size <= 16'384 && bytes.size() >= kHead + size, "a frame is whole and not too large");
      bytes.remove_prefix(kHead + size);
    }
  }
  void closed(worker::Connection&) noexcept override {}
  void upgraded() override {}

  Config config_;
  Echo echo_;
  std::unique_ptr<WorkerRow> row_ = std::make_unique<WorkerRow>();
  worker::HttpContext context_{config_, echo_, nullptr, *row_};
  worker::MemoryStream stream_;
  worker::Http2Connection connection_{context_, *this, stream_, worker::Peer{.client = {"192.0.2.1", 1}}, false};
};

}  // namespace

void fuzz(std::string_view input) {
  std::make_unique<Talk>()->run(OnePiece(input));
  std::make_unique<Talk>()->run(Pieces(input));
}

std::vector<std::string> seeds() {
  std::vector<std::string> inputs;
  for (const test::Http2FrameCase& test : test::http2_frame_cases()) inputs.push_back(test.bytes);
  return inputs;
}

}  // namespace pronghorn::fuzz
