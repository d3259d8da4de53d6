// The event loop of a TestClient.
#pragma once

#include <uv.h>

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/uv_ptr.h"

namespace pronghorn::worker {

// The destructor turns the loop until every handle on it has been closed.
class ClientLoop {
 public:
  ClientLoop() {
    if (const int error = uv_loop_init(&loop_); error != 0) {
      throw std::runtime_error(std::string("TestClient: cannot create an event loop: ") + uv_strerror(error));
    }
    tick_ = make_uv<uv_timer_t>(&loop_, uv_timer_init, nullptr);
  }
  ClientLoop(const ClientLoop&) = delete;
  ClientLoop& operator=(const ClientLoop&) = delete;
  ~ClientLoop() {
    tick_.reset();
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }
  uv_loop_t* get() noexcept { return &loop_; }

  // What is to be done at the end of each turn of run_until(), before the condition is looked at.
  void at_end_of_turn(std::function<void()> work) { end_turn_ = std::move(work); }

  // Turns the loop until the condition holds. False if `limit` passes before that.
  template <class Condition>
  bool run_until(std::chrono::milliseconds limit, Condition condition) {
    const auto give_up = std::chrono::steady_clock::now() + limit;
    uv_timer_start(tick_.get(), [](uv_timer_t*) {}, 1, 2);
    bool holds = false;
    while (true) {
      if (end_turn_) end_turn_();
      holds = condition();
      if (holds || std::chrono::steady_clock::now() >= give_up) break;
      uv_run(&loop_, UV_RUN_ONCE);
    }
    uv_timer_stop(tick_.get());
    return holds;
  }

 private:
  uv_loop_t loop_{};
  std::function<void()> end_turn_;
  UvPtr<uv_timer_t> tick_;  // ends a turn in which nothing happens
};

}  // namespace pronghorn::worker
