// How a worker drains: it stops accepting, finishes requests in flight, and closes the rest after drain_timeout.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

#include "common/ipc/scoreboard.h"
#include "common/log.h"
#include "common/uv_ptr.h"
#include "worker/passed_connections.h"
#include "worker/runtime/runtime.h"
#include "worker/server/http_server.h"
#include "worker/state/relay/relay.h"

namespace pronghorn::worker {

// Context: loop thread; one per worker that accepts. Everything in Parts must outlive this.
class Drain {
 public:
  struct Parts {
    uv_loop_t* loop;
    const ServerRow& server;
    WorkerRow& row;
    HttpServer& http;
    const PassedConnections& passed;
    const Relay* relay;  // null: there is none
    Runtime& runtime;
    std::chrono::milliseconds timeout;  // drain_timeout
  };
  struct Callbacks {
    std::function<void()> begins;  // called first
    std::function<void()> ended;   // called once; everything is answered, or was closed
  };
  Drain(const Parts& parts, Callbacks callbacks);
  Drain(const Drain&) = delete;
  Drain& operator=(const Drain&) = delete;

  // Serves for `delay` with /ready answering 503, then closes gracefully. A second call does nothing.
  void begin(std::chrono::milliseconds delay);
  // Ends the delay, and closes what is left after `limit` unless drain_timeout is over before. Call after begin().
  void hurry(std::chrono::milliseconds limit);
  // Ends the drain if nothing is left. Call it when a connection, a background task, a link or the last
  // peer of the relay has gone.
  void check_empty();

 private:
  void close_gracefully();
  void expire_in(std::chrono::milliseconds time);
  void expire();
  [[nodiscard]] std::uint64_t lost_requests() const noexcept;
  void log_step(std::string_view step, const LogField& limit) const;

  Parts parts_;
  Callbacks callbacks_;
  std::uint64_t began_ms_ = 0;
  std::uint64_t answered_before_ = 0;
  std::uint64_t lost_before_ = 0;
  bool done_ = false;
  bool peers_had_time_ = false;  // those of the relay, to find another
  UvPtr<uv_timer_t> timer_;
  UvPtr<uv_timer_t> relay_timer_;
};

}  // namespace pronghorn::worker
