// Blocking work beside the loop. Context and cancellation: see pronghorn/task.h.
#pragma once

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "pronghorn/detail/export.h"
#include "pronghorn/task.h"

namespace pronghorn {
namespace detail {

// One piece of blocking work. run() is called on a pool thread, finished() afterwards on the loop thread.
class PRONGHORN_API OffloadedWork {
 public:
  OffloadedWork() = default;
  OffloadedWork(const OffloadedWork&) = delete;
  OffloadedWork& operator=(const OffloadedWork&) = delete;
  virtual ~OffloadedWork() = default;
  virtual void run() noexcept = 0;
  virtual void finished() noexcept = 0;
};
// Queues `work` on the offload pool, which keeps it alive until finished() has returned.
PRONGHORN_API void submit_work(std::shared_ptr<OffloadedWork> work);

template <class F, class R>
class OffloadedCall final : public OffloadedWork {
 public:
  explicit OffloadedCall(F function) : function_(std::move(function)) {}

  void run() noexcept override {
    try {
      if constexpr (std::is_void_v<R>) {
        function_();
        result_.emplace();
      } else {
        result_.emplace(function_());
      }
    } catch (...) {
      error_ = std::current_exception();
    }
  }
  void finished() noexcept override {
    if (waiting_) std::exchange(waiting_, nullptr).resume();
  }
  void wait(std::coroutine_handle<> waiting) noexcept { waiting_ = waiting; }
  void forget() noexcept { waiting_ = nullptr; }
  R take() {
    if (error_) std::rethrow_exception(error_);
    if constexpr (!std::is_void_v<R>) return std::move(*result_);
  }

 private:
  F function_;
  std::optional<Stored<R>> result_;
  std::exception_ptr error_;
  std::coroutine_handle<> waiting_;
};

template <class Call, class R>
class OffloadAwaiter {
 public:
  explicit OffloadAwaiter(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  OffloadAwaiter(const OffloadAwaiter&) = delete;
  OffloadAwaiter& operator=(const OffloadAwaiter&) = delete;
  ~OffloadAwaiter() { call_->forget(); }
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    call_->wait(waiting);
    submit_work(call_);
  }
  R await_resume() { return call_->take(); }

 private:
  std::shared_ptr<Call> call_;
};

}  // namespace detail

// Runs `function` on the worker's thread pool (option offload_threads) and yields its result or throws what it threw.
// `function` owns what it uses: the coroutine that awaits it may be gone before it ends. With GCC 12 a lambda that owns
// more than numbers is made before the co_await, not in it, or its captures are destroyed twice:
//   auto work = [text = std::move(text)] { … };
//   co_await offload(std::move(work));
template <class F, class R = std::invoke_result_t<F&>>
Task<R> offload(F function) {
  using Call = detail::OffloadedCall<F, R>;
  detail::OffloadAwaiter<Call, R> result(std::make_shared<Call>(std::move(function)));
  co_return co_await result;
}

}  // namespace pronghorn
