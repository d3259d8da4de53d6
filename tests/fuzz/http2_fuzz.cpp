// A whole HTTP/2 connection in memory: whatever arrives, however the network cuts it, every request ends, what handlers
// see is well-formed, what is sent are whole frames, and every WebSocket that was accepted is closed once.
#include <algorithm>
#include <memory>
#include <vector>

#include "framing/http2_cases.h"
#include "framing/websocket_cases.h"
#include "fuzz/fuzz_target.h"
#include "pronghorn/error.h"
#include "unit/worker/runtime/test_loop.h"
#include "unit/worker/websocket/test_socket_connection.h"
#include "worker/fields/characters.h"
#include "worker/http/response_access.h"
#include "worker/http2/connection.h"
#include "worker/testing/client/memory_stream.h"

namespace pronghorn::fuzz::http2 {
namespace {

using worker::Exchange;

// Where coroutines wait for the next read.
class NextRead {
 public:
  class Wait {
   public:
    explicit Wait(NextRead& next) noexcept : next_(next) {}
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    ~Wait() { std::erase(next_.waiting_, this); }
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) {
      coroutine_ = coroutine;
      next_.waiting_.push_back(this);
    }
    void await_resume() const noexcept {}

   private:
    friend class NextRead;
    NextRead& next_;
    std::coroutine_handle<> coroutine_;
  };
  void come() {
    for (Wait* const wait : std::exchange(waiting_, {})) wait->coroutine_.resume();
  }

 private:
  std::vector<Wait*> waiting_;
};

// The WebSockets of /echo/socket, which echo; "close" closes. Accepted at once, or right before the next read.
class Sockets {
 public:
  explicit Sockets(WorkerRow& row) : service_(row, nullptr, worker_) {
    worker_.sockets = &service_;
    service_.add_route(entry_, "/echo/socket", 0, {});
  }
  worker::SocketService& service() noexcept { return service_; }
  NextRead& next_read() noexcept { return next_read_; }
  [[nodiscard]] bool all_are_closed() const noexcept { return accepted_ == closed_; }

  void serve(Exchange& exchange) {
    if (!exchange.head.has_query) return accept(exchange);
    exchange.running = accept_later(exchange);
    exchange.running.start();
  }

 private:
  Task<void> accept_later(Exchange& exchange) {
    NextRead::Wait wait(next_read_);
    co_await wait;
    accept(exchange);
  }
  void accept(Exchange& exchange) {
    ++accepted_;
    worker::SocketRecord record;
    record.id = std::string(worker::kTestSocketId.substr(4)) + std::to_string(1000 + accepted_);
    record.route = "/echo/socket";
    auto socket =
        std::make_unique<worker::Socket>(service_, service_.route(entry_), exchange.client(), std::move(record));
    exchange.owner->respond(exchange,
                            ResponseAccess::from_upgrade(std::make_unique<worker::SocketUpgrade>(std::move(socket))));
  }

  int accepted_ = 0;
  int closed_ = 0;
  NextRead next_read_;
  detail::SocketEntry entry_{.handlers = {.message =
                                              [](WebSocket& socket, const Message& said) {
                                                if (said.text() == "close") return socket.close(4000);
                                                socket.send_binary(said.text());
                                              },
                                          .close = [this](WebSocket&, const CloseReason&) { ++closed_; }}};
  worker::SocketsOnly worker_;
  worker::SocketService service_;
};

// Answers with the body, read as a whole or piece by piece; with a stream; with a WebSocket; or never.
class Echo final : public worker::RequestHandler {
 public:
  explicit Echo(Sockets& sockets) noexcept : sockets_(sockets) {}
  void handle(Exchange& exchange) noexcept override {
    check(exchange.head);
    if (exchange.head.tunnel && has_socket(exchange.head.path)) return sockets_.serve(exchange);
    exchange.body.set_limit(1000) ? serve(exchange) : exchange.owner->respond(exchange, problem(413));
  }
  void deadline_passed(Exchange&) noexcept override {}
  void refuse(Exchange& exchange, int status, std::string_view reason) noexcept override {
    exchange.running.reset();
    exchange.owner->respond(exchange, problem(status, reason));
  }
  [[nodiscard]] bool has_socket(std::string_view path) const noexcept override { return path == "/echo/socket"; }

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

  Sockets& sockets_;
};

class Talk final : private worker::ConnectionOwner {
 public:
  Talk() {
    config_.access_log = "off";
    config_.http.max_header_bytes = 2000;
    context_.sockets = &sockets_.service();
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
    end_turns();
    require(sockets_.all_are_closed(), "each WebSocket that was accepted is closed once");
    if (open()) connection_.close();
    stream_.report_closed();
    end_turns();
    require(closed_, "a connection is closed when its WebSockets are");
    require((*row_)[Count::in_flight].load() == 0, "no request is left over");
    require(row_->routes[0].sockets.open.load() == 0, "no WebSocket is left over");
  }

 private:
  [[nodiscard]] bool open() const { return stream_.ended() == worker::MemoryStream::Ended::no; }
  void send(std::string_view bytes) {
    sockets_.next_read().come();
    if (open()) stream_.send(bytes);
    end_turns();
  }
  void end_turns() {
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
  void closed(worker::Connection&) noexcept override { closed_ = true; }
  void upgraded() override {}
  [[nodiscard]] std::unique_ptr<worker::Connection> begin_within(worker::ConnectionOwner& owner,
                                                                 worker::ByteStream& stream, const worker::Peer& peer,
                                                                 std::unique_ptr<detail::Upgrade> to) override {
    auto socket = std::make_unique<worker::SocketConnection>(context_, owner, stream, peer);
    stream.report_to(*socket);
    socket->start(std::move(to), {});
    return socket;
  }

  Config config_;
  std::unique_ptr<WorkerRow> row_ = std::make_unique<WorkerRow>();
  Sockets sockets_{*row_};
  Echo echo_{sockets_};
  bool closed_ = false;
  worker::HttpContext context_{config_, echo_, nullptr, *row_};
  worker::MemoryStream stream_;
  worker::Http2Connection connection_{context_, *this, stream_, worker::Peer{.client = {"192.0.2.1", 1}}, false};
};

}  // namespace

static void fuzz(std::string_view input) {
  static worker::TestLoop loop;  // where the close handler of a WebSocket runs that was never served
  std::make_unique<Talk>()->run(OnePiece(input));
  std::make_unique<Talk>()->run(Pieces(input));
}

static std::vector<std::string> seeds() {
  std::vector<std::string> inputs;
  for (const test::Http2FrameCase& test : test::http2_frame_cases()) inputs.push_back(test.bytes);
  for (const test::WebSocketCase& test : test::all_websocket_cases()) {
    if (test.bytes.size() < 1000) inputs.push_back(test::http2_socket(test.bytes, inputs.size() % 2 != 0));
  }
  return inputs;
}

static const Registered kRegistered({"http2", fuzz, seeds});

}  // namespace pronghorn::fuzz::http2
