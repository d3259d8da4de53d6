// An HTTP/2 connection on a MemoryStream, with its client, a handler that the test gives and a clock that it moves.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.h"
#include "support/clients/http2/http2_client.h"
#include "unit/worker/connection/connection_server.h"
#include "worker/http2/connection.h"
#include "worker/testing/client/memory_stream.h"

namespace pronghorn::worker {

// A header block, the indexed part: GET http / of host a.
inline const std::string kGetBlock = std::string("\x82\x86\x84\x41\x01", 5) + "a";

// Handlers.
inline void answer_hello(Exchange& exchange) { exchange.owner->respond(exchange, text("hello")); }
inline void never_answer(Exchange&) {}

class TestHttp2 final : public ConnectionServer {
 public:
  using Begin = std::function<std::unique_ptr<Connection>(ConnectionOwner&, ByteStream&, const Peer&,
                                                          std::unique_ptr<pronghorn::detail::Upgrade>)>;

  explicit TestHttp2(Handler handler, const Config& config = quick_config(),
                     const test::Http2Client::Options& options = {})
      : ConnectionServer(std::move(handler), config), client_(options) {
    stream_.report_to(connection_);
    connection_.start();
  }
  ~TestHttp2() override {
    connection_.close();
    TestHttp2::end_turn();
  }

  test::Http2Client& client() noexcept { return client_; }
  MemoryStream& stream() noexcept { return stream_; }
  Http2Connection& connection() noexcept { return connection_; }
  // What serves the tunnels of "/socket", the only route that has some.
  void use_tunnels(Begin begin) { begin_ = std::move(begin); }
  [[nodiscard]] bool open() const noexcept { return stream_.ended() == MemoryStream::Ended::no; }

  // Carries bytes both ways until nobody has more to say.
  void run() {
    for (bool moved = true; moved;) {
      const std::string sent = client_.output();
      if (!sent.empty() && open()) stream_.send(sent);
      end_turn();
      const std::string received = receive();
      moved = !sent.empty() || !received.empty();
    }
  }
  // Gives the client what the server has sent.
  std::string receive() {
    std::string received = stream_.received();
    note_goaways(received);
    if (!received.empty()) REQUIRE(client_.input(received));
    return received;
  }
  // All that were sent. (nghttp2 reads none behind the first one when it has no streams.)
  [[nodiscard]] const std::vector<test::Http2Goaway>& goaways() const noexcept { return goaways_; }
  // The answer to the PING behind the first GOAWAY, which nghttp2 does not send then.
  void acknowledge_ping() {
    send_raw(test::Http2Client::frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, std::string(8, '\0')));
  }
  // Asks and returns what came.
  const test::Http2Answer& ask(std::string_view method, std::string_view path, const test::Http2Fields& more = {},
                               std::optional<std::string> body = {}) {
    const std::int32_t id = client_.request(method, path, more, std::move(body));
    run();
    return client_.answer(id);
  }
  // Bytes that the client does not make itself.
  void send_raw(std::string_view bytes) {
    if (open()) stream_.send(bytes);
    run();
  }

  // The same, and the client does not see what comes back: nghttp2 would object to answers that it has not asked for.
  void flood(std::string_view bytes) {
    if (open()) stream_.send(bytes);
    end_turn();
    note_goaways(stream_.received());
  }

  // Ends the turn of the loop, and begins the next.
  void end_turn() override {
    ConnectionServer::end_turn();
    context().end_of_turn.resume();
    ConnectionServer::end_turn();
  }

 private:
  void note_goaways(std::string_view frames) {
    constexpr std::size_t kHead = 9;
    const auto number = [&frames](std::size_t at, std::size_t bytes) {
      std::uint32_t value = 0;
      for (std::size_t i = at; i < at + bytes; ++i) value = (value << 8U) + static_cast<unsigned char>(frames[i]);
      return value;
    };
    while (frames.size() >= kHead) {
      if (frames[3] == NGHTTP2_GOAWAY) goaways_.push_back({static_cast<std::int32_t>(number(9, 4)), number(13, 4)});
      frames.remove_prefix(std::min(frames.size(), kHead + number(0, 3)));
    }
  }
  [[nodiscard]] bool has_socket(std::string_view path) const noexcept override { return path == "/socket"; }
  [[nodiscard]] std::unique_ptr<Connection> begin_within(ConnectionOwner& owner, ByteStream& stream, const Peer& peer,
                                                         std::unique_ptr<pronghorn::detail::Upgrade> to) override {
    return begin_ ? begin_(owner, stream, peer, std::move(to)) : nullptr;
  }

  Begin begin_;
  MemoryStream stream_;
  std::vector<test::Http2Goaway> goaways_;
  test::Http2Client client_;
  Http2Connection connection_{context(), *this, stream_, Peer{.client = {"192.0.2.1", 1234}}, false};
};

// Answers with what the coroutine returns.
inline Task<void> run_handler(Exchange& exchange, Task<Response> (*handler)(Request&)) {
  try {
    Response response = co_await handler(exchange.request);
    exchange.owner->respond(exchange, std::move(response));
  } catch (const HttpError& error) {
    exchange.owner->respond(exchange, problem(error.status(), error.what()));
  }
}

[[nodiscard]] inline TestHttp2::Handler coroutine(Task<Response> (*handler)(Request&)) {
  return [handler](Exchange& exchange) {
    exchange.running = run_handler(exchange, handler);
    exchange.running.start();
  };
}

inline Task<Response> echo_body(Request& request) {
  const std::string_view body = co_await request.body();
  co_return text(std::string(body));
}

inline Task<Response> count_pieces(Request& request) {
  std::size_t bytes = 0;
  while (const auto piece = co_await request.read()) bytes += piece->size();
  co_return text(std::to_string(bytes));
}

}  // namespace pronghorn::worker
