// A SocketConnection on a MemoryStream, with handlers that the test gives and a clock that the test moves. The test is
// the client.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include "common/config/config.h"
#include "pronghorn/websocket.h"
#include "worker/server/expiry.h"
#include "worker/state/state_services.h"
#include "worker/testing/client/memory_stream.h"
#include "worker/websocket/connection.h"
#include "worker/websocket/protocol/frame_reader.h"
#include "worker/websocket/protocol/frame_writer.h"
#include "worker/websocket/socket_service.h"
#include "worker/websocket/upgrade.h"

namespace pronghorn::worker {

inline constexpr std::string_view kTestSocketId = "0123456789abcdef01234567";

// Holds coroutines back until it is opened.
class Gate {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) { waiting_.push_back(coroutine); }
  void await_resume() const noexcept {}
  void open() {
    for (const std::coroutine_handle<> coroutine : std::exchange(waiting_, {})) coroutine.resume();
  }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }

 private:
  std::vector<std::coroutine_handle<>> waiting_;
};

// A worker without anything but sockets.
class SocketsOnly final : public pronghorn::Worker {
 public:
  [[nodiscard]] unsigned slot() const noexcept override { return 0; }
  [[nodiscard]] unsigned generation() const noexcept override { return 1; }
  [[nodiscard]] bool draining() const noexcept override { return false; }
  [[nodiscard]] StateServices& services() override { throw std::logic_error("no Redis"); }
  [[nodiscard]] SocketService& socket_service() override { return *sockets; }
  SocketService* sockets = nullptr;

 private:
  [[nodiscard]] void* find_state(const std::type_info&) const noexcept override { return nullptr; }
};

inline void echo(WebSocket& socket, const Message& message) {
  message.is_text() ? socket.send(message.text()) : socket.send_binary(message.bytes());
}
inline detail::SocketEntry echo_handlers() { return {.handlers = {.message = echo}}; }

// Notes each message in `seen`, and waits at the gate before it ends.
inline detail::SocketEntry gated_handlers(Gate& gate, std::vector<std::string>& seen) {
  const auto handler = [&gate, &seen](WebSocket&, Message message) -> Task<void> {
    seen.push_back("begins " + std::string(message.text()));
    co_await gate;
    seen.push_back("ends " + std::string(message.text()));
  };
  return {.handlers = {.message = handler}};
}

class TestSocketConnection final : private RequestHandler, private ConnectionOwner {
 public:
  using Open = std::function<void(WebSocket&)>;

  static constexpr Milliseconds kPing{4000};
  static constexpr Milliseconds kWrite{3000};
  static constexpr Milliseconds kLinger{2000};
  static constexpr Milliseconds kDeadline{1000};

  // The route is "/s".
  explicit TestSocketConnection(detail::SocketEntry entry, std::chrono::milliseconds deadline = {})
      : entry_(std::move(entry)) {
    config_.access_log = "off";
    worker_.sockets = &service_;
    service_.add_route(entry_, "/s", 0, deadline);
    context_.sockets = &service_;
    connection_ = std::make_unique<SocketConnection>(context_, static_cast<ConnectionOwner&>(*this), stream_, peer_);
    stream_.report_to(*connection_);
  }
  TestSocketConnection(const TestSocketConnection&) = delete;
  TestSocketConnection& operator=(const TestSocketConnection&) = delete;
  ~TestSocketConnection() {
    connection_->close();
    end_turn();
  }

  static SocketRecord record() {
    SocketRecord record;
    record.id = kTestSocketId;
    record.route = "/s";
    return record;
  }

  // Begins behind the handshake. `open`: what the handler of that name does. `unparsed`: what the client has sent right
  // behind its request.
  TestSocketConnection& start(const Open& open = {}, std::string unparsed = {}, SocketRecord state = record()) {
    auto socket = std::make_unique<Socket>(service_, service_.route(entry_), peer_.client, std::move(state));
    if (open) open(socket->handle());
    connection_->start(std::make_unique<SocketUpgrade>(std::move(socket)), std::move(unparsed));
    end_turn();
    return *this;
  }
  // Begins with a socket of another worker.
  void resume(const HandoffRecord& record, const Handed& handed) {
    connection_->resume(record, handed);
    end_turn();
  }

  // --- The client ---------------------------------------------------------------------------------------------------

  [[nodiscard]] std::string text(std::string_view payload) { return written(&FrameWriter::text, payload); }
  [[nodiscard]] std::string binary(std::string_view payload) { return written(&FrameWriter::binary, payload); }
  [[nodiscard]] std::string ping(std::string_view payload) {
    std::string out;
    writer_.ping(out, payload);
    return out;
  }
  [[nodiscard]] std::string close_frame(int code, std::string_view reason = {}) {
    std::string out;
    writer_.close(out, code, reason);
    return out;
  }
  // Sends bytes in one read, and ends the turn.
  void send(std::string_view bytes) {
    stream_.send(bytes);
    end_turn();
  }
  void say(std::string_view payload) { send(text(payload)); }
  void leave() {
    stream_.finish_sending();
    end_turn();
  }
  void break_off() {
    stream_.fail();
    end_turn();
  }
  void drain() {
    stream_.drain();
    end_turn();
  }
  // What has arrived since the last call: "text hi", "binary …", "ping …", "pong …", "close 1000 bye".
  [[nodiscard]] std::vector<std::string> heard() {
    std::vector<std::string> all;
    const std::string received = stream_.received();
    std::string_view bytes = received;
    for (FrameStep step = reader_.next(bytes); step.item != FrameItem::none; step = reader_.next(bytes)) {
      bytes.remove_prefix(step.consumed);
      all.push_back(describe(step));
    }
    return all;
  }

  // --- The server ---------------------------------------------------------------------------------------------------

  void end_turn() {
    context_.end_of_turn.run();
    context_.end_of_turn.resume();
    context_.end_of_turn.run();
  }
  // Moves the clock, tick by tick.
  void pass(std::chrono::milliseconds time) {
    ConnectionTimeouts timeouts;
    timeouts.write = kWrite;
    timeouts.linger = kLinger;
    timeouts.ping = kPing;
    for (std::uint64_t ticks = static_cast<std::uint64_t>(time.count()) / kTickMs; ticks > 0; --ticks) {
      now_ += std::chrono::milliseconds(kTickMs);
      expire_connections(context_, 1, timeouts, now_);
      end_turn();
    }
  }
  [[nodiscard]] bool open() const noexcept { return stream_.ended() == MemoryStream::Ended::no; }
  [[nodiscard]] std::uint64_t count(Count counter) const { return (*row_)[counter].load(); }
  [[nodiscard]] const SocketRow& row() const noexcept { return row_->routes[0].sockets; }
  MemoryStream& stream() noexcept { return stream_; }
  SocketConnection& connection() noexcept { return *connection_; }
  SocketService& service() noexcept { return service_; }
  HttpContext& context() noexcept { return context_; }

 private:
  std::string written(void (FrameWriter::*write)(std::string&, std::string_view, std::optional<DeflateTerms>),
                      std::string_view payload) {
    std::string out;
    (writer_.*write)(out, payload, std::nullopt);
    return out;
  }
  static std::string describe(const FrameStep& step) {
    const std::string payload(step.payload);
    switch (step.item) {
      case FrameItem::text:
        return "text " + payload;
      case FrameItem::binary:
        return "binary " + payload;
      case FrameItem::ping:
        return "ping " + payload;
      case FrameItem::pong:
        return "pong " + payload;
      case FrameItem::close:
        return "close " + std::to_string(step.code) + (payload.empty() ? "" : " " + payload);
      case FrameItem::failure:
      case FrameItem::none:
        break;
    }
    return "broken: " + payload;
  }

  // No requests arrive here.
  void handle(Exchange&) noexcept override {}
  void deadline_passed(Exchange&) noexcept override {}
  void refuse(Exchange&, int, std::string_view) noexcept override {}
  void closed(Connection&) noexcept override {}
  void upgraded() override {}

  Config config_;
  detail::SocketEntry entry_;
  std::unique_ptr<WorkerRow> row_ = std::make_unique<WorkerRow>();
  SocketsOnly worker_;
  SocketService service_{*row_, nullptr, worker_};
  HttpContext context_{config_, *this, nullptr, *row_};
  std::chrono::steady_clock::time_point now_ = std::chrono::steady_clock::now();
  MemoryStream stream_;
  Peer peer_{.client = {"192.0.2.1", 1234}};
  std::unique_ptr<SocketConnection> connection_;
  FrameMemory memory_;
  FrameReader reader_{memory_, {.role = WebSocketRole::client, .deflate = true}};
  FrameWriter writer_{WebSocketRole::client};
};

}  // namespace pronghorn::worker
