// What all connections of a worker share.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "worker/connection/end_of_turn.h"
#include "worker/exchange/exchange_pool.h"
#include "worker/exchange/logging/access_log.h"
#include "worker/net/admission.h"
#include "worker/net/timeout_lists.h"

namespace pronghorn::worker {

class SocketService;
class TlsService;

// The owner of exchanges whose client has disconnected: discards their responses.
class Nobody final : public ExchangeOwner {
 public:
  void respond(Exchange&, Response&&) override {}
  void want_body(Exchange&) override {}
};

// Buffers for responses, so that all that are made while one read is handled leave in one write. Uses nest: a coroutine
// of one connection may resume one of another.
class OutputBuffers {
 public:
  // An empty buffer, until it is given back with release(). The last one acquired is released first.
  [[nodiscard]] std::string& acquire() {
    if (used_ == buffers_.size()) buffers_.push_back(std::make_unique<std::string>());
    return *buffers_[used_++];
  }
  void release(std::string& buffer) noexcept {
    constexpr std::size_t kKeptCapacity = 256 * 1024;
    buffer.clear();
    if (buffer.capacity() > kKeptCapacity) buffer.shrink_to_fit();
    --used_;
  }

 private:
  std::vector<std::unique_ptr<std::string>> buffers_;
  std::size_t used_ = 0;
};

// Context:   loop thread.
// Ownership: the HttpServer. Outlives every connection; the references outlive it.
struct HttpContext {
  HttpContext(const Config& config, RequestHandler& request_handler, StateServices* services, WorkerRow& scoreboard_row)
      : limits(config.http),
        early_hints(config.early_hints),
        http2_cleartext(config.http2_cleartext),
        shares_sockets(passes_connections(config.balance)),
        handler(request_handler),
        state(services),
        row(scoreboard_row),
        access_log(config, &scoreboard_row.unwritten_access_lines),
        admission(config.overload == "on") {}

  const HttpLimits& limits;
  const bool early_hints;
  const bool http2_cleartext;
  const bool shares_sockets;  // the distributor or a stopped worker may hold a copy of a client's descriptor
  RequestHandler& handler;
  StateServices* state;
  WorkerRow& row;
  AccessLog access_log;
  Admission admission;
  uv_loop_t* loop = nullptr;  // whose turns make requests wait; null: nothing does
  // What has waited for longer has waited for a worker, not for this one.
  Admission::Time serves_since = Admission::Time::clock::now();
  TimeoutLists timeouts;
  ExchangePool exchanges;
  EndOfTurn end_of_turn{exchanges};
  OutputBuffers outputs;
  Nobody nobody;
  SocketService* sockets = nullptr;   // null: no route is a WebSocket's
  TlsService* tls = nullptr;          // null: no listener speaks TLS
  std::uint64_t next_tls_report = 0;  // tick: when the log may say again that a client has mixed up two ports
  bool draining = false;              // responses carry "Connection: close" …
  bool hands_over = false;  // … except those of noted connections, which go to another worker when they owe nothing
  bool ends_idle = false;   // while draining: idle connections that nobody takes over are closed
};

// Whether a connection that has had `requests` and was opened at tick `opened` has reached a limit, which is counted
// then.
[[nodiscard]] inline bool keep_alive_is_over(HttpContext& context, std::uint32_t requests,
                                             std::uint32_t opened) noexcept {
  const HttpLimits& limits = context.limits;
  if (limits.keep_alive_requests != 0 && requests >= limits.keep_alive_requests) {
    add(context.row[Count::limit_keep_alive_requests]);
    return true;
  }
  const auto ticks = static_cast<std::uint32_t>(context.timeouts.now()) - opened;
  const auto age = static_cast<std::int64_t>(ticks * kTickMs);
  if (limits.keep_alive_age.count() == 0 || age < limits.keep_alive_age.count()) return false;
  add(context.row[Count::limit_keep_alive_age]);
  return true;
}

}  // namespace pronghorn::worker
