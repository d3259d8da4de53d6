#include "worker/runtime/runtime.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/log.h"
#include "pronghorn/concurrent.h"
#include "pronghorn/offload.h"
#include "worker/runtime/exception_text.h"
#include "worker/runtime/timer_queue.h"

namespace pronghorn::worker {

namespace {
thread_local Runtime* current_runtime = nullptr;
}

// The coroutine around a background task: starts at once and owns itself; destroyed when it ends or by
// destroy_background_tasks().
class Runtime::Background {
 public:
  struct promise_type {
    static void* operator new(std::size_t size) { return pronghorn::detail::allocate_frame(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { pronghorn::detail::free_frame(frame, size); }
    Background get_return_object() noexcept {
      return Background(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
    [[nodiscard]] std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }  // the body catches everything
  };

  explicit Background(std::coroutine_handle<promise_type> coroutine) noexcept : handle(coroutine) {}
  std::coroutine_handle<> handle;
};

Runtime::Background Runtime::run_in_background(Runtime& runtime, Task<void> task) {
  struct Self {  // yields the handle of this coroutine
    std::coroutine_handle<> handle;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> self) noexcept {
      handle = self;
      return false;
    }
    [[nodiscard]] std::coroutine_handle<> await_resume() const noexcept { return handle; }
  };
  const std::coroutine_handle<> self = co_await Self{};
  try {
    co_await std::move(task);
  } catch (...) {
    log_error("a background task failed", {{"error", describe(std::current_exception())}});
  }
  task.reset();  // NOLINT(bugprone-use-after-move): awaiting a task does not move it
  std::erase(runtime.background_, self);
  runtime.notify_when_idle();
}

struct Runtime::Offloaded {
  uv_work_t request{};
  std::shared_ptr<pronghorn::detail::OffloadedWork> work;
  Runtime* runtime;  // null once the runtime has been destroyed

  static void run(uv_work_t* request) { static_cast<Offloaded*>(request->data)->work->run(); }
  static void finished(uv_work_t* request, int) {
    const std::unique_ptr<Offloaded> self(static_cast<Offloaded*>(request->data));
    if (!self->runtime) return;
    std::erase(self->runtime->offloaded_, self.get());
    self->work->finished();
    // on_idle() forbids the resumed coroutine to destroy the runtime.
    self->runtime->notify_when_idle();
  }
};

Runtime::Runtime(uv_loop_t* loop) : loop_(loop), timers_(std::make_unique<pronghorn::detail::TimerQueue>(loop)) {
  make_current();
}

Runtime::~Runtime() {
  on_idle_ = nullptr;
  destroy_background_tasks();
  for (Offloaded* offloaded : offloaded_) {
    offloaded->runtime = nullptr;
    uv_cancel(reinterpret_cast<uv_req_t*>(&offloaded->request));  // fails if it is running already
  }
  if (current_runtime == this) current_runtime = nullptr;
}

void Runtime::destroy_background_tasks() noexcept {
  while (!background_.empty()) {
    const std::coroutine_handle<> task = background_.back();
    background_.pop_back();
    task.destroy();
  }
}

Runtime& Runtime::current() noexcept {
  if (!current_runtime) {
    std::fputs("pronghorn: a timer, spawn() or offload() was used outside of a worker's loop thread\n", stderr);
    std::abort();
  }
  return *current_runtime;
}

void Runtime::make_current() noexcept { current_runtime = this; }

void Runtime::start(Task<void> task) {
  // The task may outlive the request that spawns it, so log lines must not name that request.
  auto* const running = pronghorn::detail::set_running(nullptr);
  Background background = run_in_background(*this, std::move(task));
  background_.push_back(background.handle);
  background.handle.resume();
  pronghorn::detail::set_running(running);
}

void Runtime::submit(std::shared_ptr<pronghorn::detail::OffloadedWork> work) {
  auto offloaded = std::make_unique<Offloaded>();
  offloaded->request.data = offloaded.get();
  offloaded->work = std::move(work);
  offloaded->runtime = this;
  offloaded_.push_back(offloaded.get());
  const int error = uv_queue_work(loop_, &offloaded->request, Offloaded::run, Offloaded::finished);
  if (error != 0) {
    offloaded_.pop_back();
    throw std::runtime_error(std::string("offload: ") + uv_strerror(error));
  }
  offloaded.release();  // NOLINT(bugprone-unused-return-value): finished() frees it
}

void Runtime::notify_when_idle() {
  if (background_tasks() == 0 && on_idle_) on_idle_();
}

}  // namespace pronghorn::worker
