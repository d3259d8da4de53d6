// A loop with a runtime, for tests that drive coroutines.
#pragma once

#include <uv.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <utility>

#include "pronghorn/task.h"
#include "worker/runtime/runtime.h"

namespace pronghorn::worker {

class TestLoop {
 public:
  TestLoop() {
    uv_loop_init(&loop_);
    runtime_ = std::make_unique<Runtime>(&loop_);
  }
  TestLoop(const TestLoop&) = delete;
  TestLoop& operator=(const TestLoop&) = delete;
  ~TestLoop() {
    runtime_.reset();
    uv_run(&loop_, UV_RUN_DEFAULT);
    if (uv_loop_close(&loop_) != 0) std::terminate();  // a handle was leaked
  }

  Runtime& runtime() { return *runtime_; }
  uv_loop_t* loop() { return &loop_; }

  // Turns the loop until the condition holds; throws after five seconds.
  template <class Condition>
  void run_until(Condition condition) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    uv_timer_t tick;  // so that a loop with nothing to do comes back
    uv_timer_init(&loop_, &tick);
    uv_timer_start(&tick, [](uv_timer_t*) {}, 1, 1);
    bool in_time = true;
    while (!condition() && in_time) {
      uv_run(&loop_, UV_RUN_ONCE);
      in_time = std::chrono::steady_clock::now() < give_up;
    }
    uv_close(reinterpret_cast<uv_handle_t*>(&tick), nullptr);
    uv_run(&loop_, UV_RUN_NOWAIT);
    if (!in_time) throw std::runtime_error("the condition did not come true within five seconds");
  }

  template <class T>
  T run(Task<T> task) {
    task.start();
    run_until([&task] { return task.done(); });
    return task.take();
  }

 private:
  uv_loop_t loop_{};
  std::unique_ptr<Runtime> runtime_;
};

}  // namespace pronghorn::worker
