// What a connection on a MemoryStream needs of its server: a handler that the test gives and a clock that the test
// moves.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "common/config/config.h"
#include "pronghorn/response.h"
#include "worker/connection/connection.h"
#include "worker/connection/http_context.h"
#include "worker/server/expiry.h"

namespace pronghorn::worker {

// The base of TestConnection and TestHttp2, which own the connection.
class ConnectionServer : protected RequestHandler, protected ConnectionOwner {
 public:
  using Handler = std::function<void(Exchange&)>;

  static constexpr Milliseconds kLinger{5000};

  static Config quick_config() {
    Config config;
    config.access_log = "off";
    config.http.header_timeout = Milliseconds(1000);
    config.http.body_timeout = Milliseconds(2000);
    config.http.write_timeout = Milliseconds(3000);
    config.http.keep_alive_timeout = Milliseconds(4000);
    return config;
  }

  ConnectionServer(Handler handler, const Config& config) : config_(config), handler_(std::move(handler)) {}
  ConnectionServer(const ConnectionServer&) = delete;
  ConnectionServer& operator=(const ConnectionServer&) = delete;
  virtual ~ConnectionServer() = default;

  HttpContext& context() noexcept { return context_; }
  [[nodiscard]] std::uint64_t count(Count counter) const { return (*row_)[counter].load(); }
  [[nodiscard]] const LatencyHistogram& latency() const noexcept { return row_->latency; }
  // How often its owner was told that the connection has ended.
  [[nodiscard]] int closings() const noexcept { return closings_; }

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
  virtual void end_turn() { context_.end_of_turn.run(); }

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
  void closed(Connection&) noexcept override { ++closings_; }
  void upgraded() override {}

  Config config_;
  Handler handler_;
  int closings_ = 0;
  std::unique_ptr<WorkerRow> row_ = std::make_unique<WorkerRow>();
  HttpContext context_{config_, *this, nullptr, *row_};
  std::chrono::steady_clock::time_point now_ = std::chrono::steady_clock::now();
};

}  // namespace pronghorn::worker
