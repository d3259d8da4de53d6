// Blocking work on a thread pool. Context and cancellation: see pronghorn/task.h.
#pragma once

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "pronghorn/detail/callable.h"
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

template <class R, class F, class... Args>
class OffloadedCall final : public OffloadedWork {
 public:
  template <class... Parts>
  explicit OffloadedCall(Parts&&... parts) : call_(std::forward<Parts>(parts)...) {}

  void run() noexcept override {
    try {
      const auto invoke = [](F& function, Args&... args) -> R { return function(std::move(args)...); };
      if constexpr (std::is_void_v<R>) {
        std::apply(invoke, call_);
        result_.emplace();
      } else {
        result_.emplace(std::apply(invoke, call_));
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
  std::tuple<F, Args...> call_;
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

template <class T>
inline constexpr bool kIsTask = false;
template <class T>
inline constexpr bool kIsTask<Task<T>> = true;

template <class R, class Call>
Task<R> await_offloaded(std::shared_ptr<Call> call) {
  OffloadAwaiter<Call, R> result(std::move(call));
  co_return co_await result;
}

}  // namespace detail

// Runs function(args...) on the worker's thread pool (option offload_threads) and returns its result, or throws what it
// threw. Function and arguments are copied or moved into the pool and must own what they use: the awaiting coroutine
// may be destroyed before the work has run. The work starts when the task is awaited. A coroutine runs on the loop, so
// it cannot be passed.
//
//   const int sum = co_await offload([a, b] { return add_slowly(a, b); });
//   const auto hash = co_await offload(hash_of, std::move(text));   // std::string hash_of(std::string)
//
// If a lambda is written inside the co_await, GCC 12 destroys its captures twice, so a lambda that owns something does
// not compile there. Name the lambda and pass it without std::move, or pass what it owns as an argument:
//
//   auto work = [text] { return hash_of(text); };
//   const auto hash = co_await offload(work);
template <class F, class... Args>
  requires std::is_invocable_v<std::decay_t<F>&, std::decay_t<Args>...>
auto offload(F&& function, Args&&... args) {
  detail::check_awaited_callable<F>();
  (detail::check_awaited_argument<Args>(), ...);
  using Result = std::invoke_result_t<std::decay_t<F>&, std::decay_t<Args>...>;
  static_assert(!detail::kIsTask<Result>,
                "offload() takes a function that blocks, and this is a coroutine: co_await it without offload()");
  using Call = detail::OffloadedCall<Result, std::decay_t<F>, std::decay_t<Args>...>;
  return detail::await_offloaded<Result>(
      std::make_shared<Call>(std::forward<F>(function), std::forward<Args>(args)...));
}

}  // namespace pronghorn
