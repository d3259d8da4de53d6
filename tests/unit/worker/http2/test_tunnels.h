// WebSockets in the streams of a TestHttp2. The test is the client.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.h"
#include "unit/worker/http2/test_http2.h"
#include "unit/worker/websocket/test_socket_connection.h"
#include "worker/http/response_access.h"

namespace pronghorn::worker {

// The client's side of one socket.
class TunnelClient {
 public:
  // Sends an extended CONNECT. `unasked`: bytes right behind it. `last`: it ends with its head.
  explicit TunnelClient(TestHttp2& http, const test::Http2Fields& more = {}, std::string_view unasked = {},
                        bool last = false)
      : http_(http) {
    test::Http2Fields fields{{":method", "CONNECT"},
                             {":protocol", "websocket"},
                             {":scheme", "https"},
                             {":authority", "example.com"},
                             {":path", "/socket"}};
    fields.insert(fields.end(), more.begin(), more.end());
    id_ = http.client().raw_request(fields, {}, !last);
    if (!unasked.empty()) http.client().send_body(id_, unasked, false);
    http.run();
  }

  [[nodiscard]] std::int32_t id() const noexcept { return id_; }
  [[nodiscard]] const test::Http2Answer& answer() { return http_.client().answer(id_); }
  [[nodiscard]] std::size_t unsent() const { return http_.client().unsent(id_); }

  [[nodiscard]] static std::string text(std::string_view payload) {
    std::string out;
    FrameWriter(WebSocketRole::client).text(out, payload, std::nullopt);
    return out;
  }
  void send(std::string_view bytes, bool last = false) {
    http_.client().send_body(id_, bytes, last);
    http_.run();
  }
  void say(std::string_view payload) { send(text(payload)); }
  void close(int code) {
    std::string out;
    FrameWriter(WebSocketRole::client).close(out, code, {});
    send(out);
  }
  void finish() { send({}, true); }
  void reset() {
    http_.client().reset(id_);
    http_.run();
  }
  // What has arrived since the last call: "text hi", "close 1000 bye", "ping".
  [[nodiscard]] std::vector<std::string> heard() {
    std::vector<std::string> all;
    const std::string received = answer().body.substr(read_);
    read_ += received.size();
    std::string_view bytes = received;
    for (FrameStep step = reader_.next(bytes); step.item != FrameItem::none; step = reader_.next(bytes)) {
      bytes.remove_prefix(step.consumed);
      all.push_back(describe(step));
    }
    return all;
  }

 private:
  static std::string describe(const FrameStep& step) {
    const std::string payload(step.payload);
    switch (step.item) {
      case FrameItem::text:
        return "text " + payload;
      case FrameItem::ping:
        return "ping";
      case FrameItem::close:
        return "close " + std::to_string(step.code) + (payload.empty() ? "" : " " + payload);
      default:
        return "something else: " + payload;
    }
  }

  TestHttp2& http_;
  std::int32_t id_ = 0;
  std::size_t read_ = 0;
  FrameMemory memory_;
  FrameReader reader_{memory_, {.role = WebSocketRole::client}};
};

class TestTunnels {
 public:
  explicit TestTunnels(detail::SocketEntry entry, const Config& config = TestHttp2::quick_config(),
                       const test::Http2Client::Options& options = {})
      : entry_(std::move(entry)), http_([this](Exchange& exchange) { answer(exchange); }, config, options) {
    worker_.sockets = &service_;
    service_.add_route(entry_, "/socket", 0, {});
    http_.context().sockets = &service_;
    http_.use_tunnels([this](ConnectionOwner& owner, ByteStream& stream, const Peer& peer,
                             std::unique_ptr<pronghorn::detail::Upgrade> to) {
      auto socket = std::make_unique<SocketConnection>(http_.context(), owner, stream, peer);
      stream.report_to(*socket);
      socket->start(std::move(to), {});
      return socket;
    });
    http_.run();
  }
  TestTunnels(const TestTunnels&) = delete;
  TestTunnels& operator=(const TestTunnels&) = delete;

  TestHttp2& http() noexcept { return http_; }
  SocketService& service() noexcept { return service_; }
  [[nodiscard]] const SocketRow& row() const noexcept { return row_->routes[0].sockets; }
  // What the handler of the route does in place of accepting.
  void answer_with(TestHttp2::Handler handler) { handler_ = std::move(handler); }
  void accept(Exchange& exchange) {
    SocketRecord record;
    record.id = std::string(kTestSocketId.substr(2)) + std::to_string(10 + opened_++);
    record.route = "/socket";
    auto socket = std::make_unique<Socket>(service_, service_.route(entry_), exchange.client(), std::move(record));
    exchange.owner->respond(exchange, ResponseAccess::from_upgrade(std::make_unique<SocketUpgrade>(std::move(socket))));
  }

 private:
  void answer(Exchange& exchange) { handler_ ? handler_(exchange) : accept(exchange); }

  detail::SocketEntry entry_;
  std::unique_ptr<WorkerRow> row_ = std::make_unique<WorkerRow>();
  SocketsOnly worker_;
  SocketService service_{*row_, nullptr, worker_};
  TestHttp2::Handler handler_;
  int opened_ = 0;
  TestHttp2 http_;
};

struct Closes {
  int count = 0;
  std::uint16_t code = 0;
};

// Echoes; "close" closes, "much" sends a little less than max_queue(), "too much" more. Counts how often the close handler
// runs.
inline pronghorn::detail::SocketEntry echoes(Closes& closes) {
  const auto message = [](WebSocket& socket, const Message& said) {
    if (said.text() == "close") return socket.close(4000, "enough");
    const int pieces = said.text() == "too much" ? 17 : said.text() == "much" ? 15 : 0;
    for (int i = 0; i < pieces; ++i) socket.send(std::string(65'536, 'x'));
    socket.send(said.text());
  };
  const auto close = [&closes](WebSocket&, const CloseReason& reason) {
    ++closes.count;
    closes.code = reason.code;
  };
  return {.handlers = {.message = message, .close = close}};
}

// The same with coroutines that wait at the gate.
inline pronghorn::detail::SocketEntry waits_at(Gate& gate, std::vector<std::string>& seen) {
  const auto message = [&gate, &seen](WebSocket&, Message said) -> Task<void> {
    seen.emplace_back(said.text());
    co_await gate;
  };
  const auto close = [&gate, &seen](WebSocket&, CloseReason reason) -> Task<void> {
    seen.push_back("closes " + std::to_string(reason.code));
    co_await gate;
    seen.emplace_back("closed");
  };
  return {.handlers = {.message = message, .close = close}};
}

// A connection whose WebSockets echo.
struct EchoingTunnels {
  Closes closes;
  TestTunnels tunnels{echoes(closes)};
};
// The same, with a client that has connected.
struct EchoingTunnel : EchoingTunnels {
  TunnelClient client{tunnels.http()};
};

}  // namespace pronghorn::worker
