// A worker's loop and its Redis services, without HTTP.
#pragma once

#include <signal.h>
#include <uv.h>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "pronghorn/session.h"
#include "pronghorn/task.h"
#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "worker/exchange/exchange.h"
#include "worker/runtime/runtime.h"
#include "worker/state/state_services.h"

namespace pronghorn::test {

using worker::Exchange;
using worker::StateServices;

// The default timeout is long, so that tests without timeouts pass on a slow machine.
inline Config config_for(std::string redis, std::chrono::milliseconds timeout = 10s) {
  Config config;
  config.name = "app";
  config.redis = std::move(redis);
  config.redis_timeout = timeout;
  return config;
}

class StateWorker {
 public:
  explicit StateWorker(const Config& config, StateServices::Machine machine = {}) {
    ::signal(SIGPIPE, SIG_IGN);  // as a worker does
    uv_loop_init(&loop_);
    uv_timer_init(&loop_, &tick_);
    runtime_ = std::make_unique<worker::Runtime>(&loop_);
    state = std::make_unique<StateServices>(&loop_, config, *row, 0U, machine);
  }
  explicit StateWorker(const std::string& redis) : StateWorker(config_for(redis)) {}
  StateWorker(const StateWorker&) = delete;
  StateWorker& operator=(const StateWorker&) = delete;
  // Hangs if the services leave a handle open.
  ~StateWorker() {
    make_current();
    state->close();
    runtime_->destroy_background_tasks();
    uv_close(reinterpret_cast<uv_handle_t*>(&tick_), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    state.reset();
    runtime_.reset();
    uv_run(&loop_, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop_) == 0);
  }

  void start() {
    state->start([this](std::string why) { fatal = std::move(why); });
  }
  // Starts and waits for Redis.
  StateWorker& ready() {
    start();
    REQUIRE(wait([this] { return state->redis_up(); }));
    return *this;
  }

  // Turns the loop until `condition` is true. Returns false if it is not after `deadline`.
  bool wait(const std::function<bool()>& condition, std::chrono::milliseconds deadline = 10s) {
    const auto end = Clock::now() + deadline;
    make_current();
    bool met = condition();
    while (!met && Clock::now() < end) {
      make_current();  // the condition may have turned the loop of another worker
      // Started in each turn, because the condition may call wait() itself. It repeats, because it may be due before the
      // loop waits, which could then be for ever.
      uv_timer_start(&tick_, [](uv_timer_t*) {}, 2, 2);
      runtime_->make_current();
      uv_run(&loop_, UV_RUN_ONCE);
      met = condition();
    }
    uv_timer_stop(&tick_);
    return met;
  }
  void turn(std::chrono::milliseconds duration) {
    (void)wait([] { return false; }, duration);
  }

  // One turn, without waiting.
  void poll() {
    make_current();
    uv_run(&loop_, UV_RUN_NOWAIT);
  }
  // Coroutines that are started or resumed from now on belong to this worker. Only needed with several workers.
  void make_current() noexcept { runtime_->make_current(); }

  template <class T>
  T run(Task<T> task) {
    make_current();
    task.start();
    return finish(task);
  }
  template <class T>
  T finish(Task<T>& task) {
    REQUIRE(wait([&task] { return task.done(); }));
    return task.take();
  }

  template <class... Args>
  Reply command(const Args&... args) {
    return run(redis().command(args...));
  }
  [[nodiscard]] Redis redis() const { return Redis(*state->redis); }
  [[nodiscard]] uv_loop_t* loop() noexcept { return &loop_; }

  std::unique_ptr<WorkerRow> row = std::make_unique<WorkerRow>();
  std::unique_ptr<StateServices> state;
  std::string fatal;

 private:
  uv_loop_t loop_;
  uv_timer_t tick_;
  std::unique_ptr<worker::Runtime> runtime_;
};

// One request of one client. Keeps the session cookie as a browser does.
class Visit {
 public:
  explicit Visit(StateWorker& worker, std::string cookie = "", std::string address = "192.0.2.1") : worker_(worker) {
    peer_.client.address = std::move(address);
    exchange.peer = &peer_;
    exchange.state = worker.state.get();
    exchange.head.clear();
    if (cookie.empty()) return;
    header_ = "session=" + std::move(cookie);
    exchange.head.fields[0] = worker::Header{"Cookie", header_};
    exchange.head.field_count = 1;
    exchange.head.known[static_cast<std::size_t>(worker::KnownHeader::cookie)] = 0;
  }

  Session session() { return worker_.run(exchange.request.session()); }
  // Saves the session, as the server does after the handler has returned. Returns the Set-Cookie field, or "".
  std::string commit() {
    Response response;
    worker_.run(worker_.state->sessions.commit(exchange, response));
    return std::string(response.header("Set-Cookie").value_or(""));
  }
  // commit(), which must set the cookie. Returns the id in it.
  std::string commit_id() {
    const std::string field = commit();
    REQUIRE(field.starts_with("session="));
    return field.substr(8, field.find(';') - 8);
  }

  Exchange exchange;

 private:
  StateWorker& worker_;
  worker::Peer peer_;
  std::string header_;
};

}  // namespace pronghorn::test
