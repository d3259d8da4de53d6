// What all connections of a worker share.
#pragma once

#include <uv.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "worker/exchange/access_log.h"
#include "worker/exchange/exchange_pool.h"
#include "worker/http1/end_of_turn.h"
#include "worker/net/admission.h"
#include "worker/net/timeout_lists.h"

namespace pronghorn::worker {

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
        handler(request_handler),
        state(services),
        row(scoreboard_row),
        access_log(config),
        admission(config.overload == "on") {}

  const HttpLimits& limits;
  const bool early_hints;
  RequestHandler& handler;
  StateServices* state;
  WorkerRow& row;
  AccessLog access_log;
  Admission admission;
  uv_loop_t* loop = nullptr;  // whose turns make requests wait; null: nothing does
  TimeoutLists timeouts;
  ExchangePool exchanges;
  EndOfTurn end_of_turn{exchanges};
  OutputBuffers outputs;
  Nobody nobody;
  bool draining = false;    // responses carry "Connection: close" …
  bool hands_over = false;  // … except those of noted connections, which go to another worker when they owe nothing
};

}  // namespace pronghorn::worker
