// What all connections of a worker share.
//
// Context: loop thread; owned by the HttpServer, outlives every connection.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "worker/http/access_log.h"
#include "worker/http/exchange.h"
#include "worker/http1/streamed_response.h"
#include "worker/net/timeout_lists.h"

namespace pronghorn::worker {

inline constexpr std::size_t kReadBuffer = 64 * 1024;

// Owns exchanges while they are not in use, and knows all. An idle connection has none.
class ExchangePool {
 public:
  [[nodiscard]] Exchange* acquire();
  void release(Exchange* exchange) noexcept;
  // Of all, linked by Exchange::pool_next. For the handler of a fatal signal: nothing else can walk them safely.
  [[nodiscard]] const Exchange* first() const noexcept { return first_; }

 private:
  void link(Exchange& exchange) noexcept;
  void unlink(Exchange& exchange) noexcept;

  static constexpr std::size_t kKept = 256;
  std::vector<std::unique_ptr<Exchange>> free_;
  Exchange* first_ = nullptr;
};

// The owner of exchanges whose client has left: what the application still says goes nowhere.
class Nobody final : public ExchangeOwner {
 public:
  void respond(Exchange&, Response&&) override {}
  void want_body(Exchange&) override {}
};

struct HttpContext {
  HttpContext(uv_loop_t* uv_loop, const Config& effective, RequestHandler& request_handler, StateServices* services,
              WorkerRow& scoreboard_row)
      : loop(uv_loop),
        config(effective),
        limits(effective.http),
        handler(request_handler),
        state(services),
        row(scoreboard_row),
        access_log(effective),
        read_buffer(kReadBuffer, '\0') {}

  uv_loop_t* loop;
  const Config& config;
  const HttpLimits& limits;
  RequestHandler& handler;
  StateServices* state;
  WorkerRow& row;
  AccessLog access_log;
  std::string read_buffer;
  TimeoutLists timeouts;
  ExchangePool exchanges;
  Nobody nobody;
  bool draining = false;  // responses carry "Connection: close"

  // Buffers for the responses made while one read is handled: they leave in one write. A deque because handling can
  // nest: a coroutine of one connection may resume one of another.
  std::deque<std::string> outputs;
  std::size_t outputs_used = 0;

  // Ended exchanges and streams whose coroutine may still be on the stack: destroyed at the end of the turn.
  std::vector<Exchange*> ended_exchanges;
  std::vector<std::unique_ptr<StreamedResponse>> ended_streams;
  std::vector<StreamedResponse*> unflushed_streams;
  std::vector<StreamedResponse*> yielding_streams;  // go on in the next turn
};

// An output buffer for as long as it lives; empty at first.
class OutputLease {
 public:
  explicit OutputLease(HttpContext& context) : context_(context) {
    if (context_.outputs_used == context_.outputs.size()) context_.outputs.emplace_back();
    output_ = &context_.outputs[context_.outputs_used++];
  }
  OutputLease(const OutputLease&) = delete;
  OutputLease& operator=(const OutputLease&) = delete;
  ~OutputLease() {
    constexpr std::size_t kKeptCapacity = 256 * 1024;
    output_->clear();
    if (output_->capacity() > kKeptCapacity) output_->shrink_to_fit();
    --context_.outputs_used;
  }
  [[nodiscard]] std::string& operator*() const noexcept { return *output_; }

 private:
  HttpContext& context_;
  std::string* output_;
};

}  // namespace pronghorn::worker
