// A connection on a MemoryStream, with a handler that the test gives and a clock that the test moves.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/config/config.h"
#include "worker/http1/connection.h"
#include "worker/server/expiry.h"
#include "worker/testing/client/memory_stream.h"

namespace pronghorn::worker {

class TestConnection final : private RequestHandler, private ConnectionOwner {
 public:
  using Handler = std::function<void(Exchange&)>;

  static Config quick_config() {
    Config config;
    config.access_log = "off";
    config.http.header_timeout = Milliseconds(1000);
    config.http.body_timeout = Milliseconds(2000);
    config.http.write_timeout = Milliseconds(3000);
    config.http.keep_alive_timeout = Milliseconds(4000);
    return config;
  }

  explicit TestConnection(Handler handler, const Config& config = quick_config())
      : config_(config), handler_(std::move(handler)) {
    stream_.report_to(connection_);
    connection_.start();
  }
  TestConnection(const TestConnection&) = delete;
  TestConnection& operator=(const TestConnection&) = delete;
  ~TestConnection() { connection_.close(); }

  MemoryStream& client() noexcept { return stream_; }
  Http1Connection& connection() noexcept { return connection_; }
  HttpContext& context() noexcept { return context_; }
  [[nodiscard]] std::uint64_t count(Count counter) const { return (*row_)[counter].load(); }
  [[nodiscard]] const LatencyHistogram& latency() const noexcept { return row_->latency; }
  [[nodiscard]] bool open() const noexcept { return stream_.ended() == MemoryStream::Ended::no; }

  // Moves the clock, tick by tick.
  void pass(std::chrono::milliseconds time) {
    const HttpLimits& limits = config_.http;
    const ConnectionTimeouts timeouts{.header = limits.header_timeout,
                                      .body = limits.body_timeout,
                                      .write = limits.write_timeout,
                                      .keep_alive = limits.keep_alive_timeout,
                                      .linger = kLinger,
                                      .ping = limits.websocket_ping};
    for (std::uint64_t ticks = static_cast<std::uint64_t>(time.count()) / kTickMs; ticks > 0; --ticks) {
      now_ += std::chrono::milliseconds(kTickMs);
      expire_connections(context_, 1, timeouts, now_);
      end_turn();
    }
  }
  // Ends the turn of the loop.
  void end_turn() { context_.end_of_turn.run(); }
  // Sends, ends the turn and returns what came back.
  std::string ask(std::string_view bytes) {
    stream_.send(bytes);
    end_turn();
    return stream_.received();
  }

  static constexpr Milliseconds kLinger{5000};

 private:
  void handle(Exchange& exchange) noexcept override { handler_(exchange); }
  void deadline_passed(Exchange& exchange) noexcept override {
    exchange.running.reset();
    exchange.owner->respond(exchange, problem(504));
  }
  void refuse(Exchange& exchange, int status, std::string_view reason) noexcept override {
    exchange.running.reset();
    exchange.owner->respond(exchange, problem(status, reason));
  }
  void closed(Connection&) noexcept override {}
  void upgraded() override {}

  Config config_;
  Handler handler_;
  std::unique_ptr<WorkerRow> row_ = std::make_unique<WorkerRow>();
  HttpContext context_{config_, *this, nullptr, *row_};
  std::chrono::steady_clock::time_point now_ = std::chrono::steady_clock::now();
  MemoryStream stream_;
  Http1Connection connection_{context_, *this, stream_, Peer{.client = {"192.0.2.1", 1234}}, false};
};

}  // namespace pronghorn::worker
