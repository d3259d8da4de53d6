// Coroutines: Task, what a handler returns when it waits. What it may wait for: timer.h, offload.h, concurrent.h,
// redis.h.
//
// Context: everything here runs on the one loop thread of a worker (or of a TestClient). Only the function given to
// offload() runs elsewhere. Nothing here may be called before the worker's loop exists, that is, from a static
// initialiser or from the setup function.
//
// Cancellation: destroying a Task destroys its coroutine at the point where it is suspended; local objects are
// destroyed as if an exception had passed, and whatever it waited for (timer, Redis reply, offloaded result) is
// forgotten. The server destroys a handler's task when its client leaves or its deadline passes.
//
// Awaitables of one's own work too. They resume the coroutine from a callback of the loop, never from inside another
// coroutine: that one may be a branch of the same when_any, which is destroyed when the first branch ends.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "pronghorn/detail/export.h"

namespace pronghorn {

template <class T = void>
class Task;

namespace worker {
class Exchange;
}

namespace detail {

// Coroutine frames come from free lists by size: a handler's frame costs no malloc once the worker is warm.
PRONGHORN_API void* allocate_frame(std::size_t size);
PRONGHORN_API void free_frame(void* frame, std::size_t size) noexcept;

// Sets whose code runs on this thread (null: no request's) and returns whose it was. Log lines and the explanation of a
// crash name it. Coroutines carry it over their suspensions: see Suspension.
PRONGHORN_API worker::Exchange* set_running(worker::Exchange* exchange) noexcept;

template <class A>
decltype(auto) get_awaiter(A&& awaitable) {
  if constexpr (requires { std::forward<A>(awaitable).operator co_await(); }) {
    return std::forward<A>(awaitable).operator co_await();
  } else if constexpr (requires { operator co_await(std::forward<A>(awaitable)); }) {
    return operator co_await(std::forward<A>(awaitable));
  } else {
    return static_cast<A&&>(awaitable);
  }
}

// What a co_await of anything but a Task becomes: when the coroutine really suspends, no request is running; when
// it goes on, its own is again.
template <class Awaiter>
class Suspension {
 public:
  template <class A>
  explicit Suspension(A&& awaitable) : awaiter_(get_awaiter(std::forward<A>(awaitable))) {}

  bool await_ready() { return awaiter_.await_ready(); }
  // Touches nothing after the awaiter's own await_suspend: that may have destroyed the coroutine, and this with it.
  template <class Promise>
  auto await_suspend(std::coroutine_handle<Promise> waiting) {
    exchange_ = set_running(nullptr);
    suspended_ = true;
    try {
      return awaiter_.await_suspend(waiting);
    } catch (...) {  // not suspended: the exception comes out of the co_await
      set_running(exchange_);
      throw;
    }
  }
  decltype(auto) await_resume() {
    if (suspended_) set_running(exchange_);  // null too: whoever resumed it is not the one who runs now
    return awaiter_.await_resume();
  }

 private:
  Awaiter awaiter_;
  worker::Exchange* exchange_ = nullptr;
  bool suspended_ = false;
};

struct StartChildren;

struct PromiseBase {
  std::coroutine_handle<> continuation = std::noop_coroutine();
  std::exception_ptr error;
  bool* destroyed = nullptr;  // told when the coroutine is destroyed

  PromiseBase() noexcept = default;
  PromiseBase(const PromiseBase&) = delete;
  PromiseBase& operator=(const PromiseBase&) = delete;
  ~PromiseBase() {
    if (destroyed) *destroyed = true;
  }

  struct FinalAwaiter {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> finished) const noexcept {
      return finished.promise().continuation;
    }
    void await_resume() const noexcept {}
  };

  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }

  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  [[nodiscard]] FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { error = std::current_exception(); }

  // A child and the children of when_all run for the same request as we do.
  template <class T>
  Task<T>&& await_transform(Task<T>&& task) noexcept {
    return std::move(task);
  }
  StartChildren& await_transform(StartChildren& children) noexcept { return children; }
  template <class A>
  auto await_transform(A&& awaitable) {
    return Suspension<decltype(get_awaiter(std::forward<A>(awaitable)))>(std::forward<A>(awaitable));
  }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;

  Task<T> get_return_object() noexcept;
  template <class U>
    requires std::convertible_to<U&&, T>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() {
    if (error) std::rethrow_exception(error);
    return std::move(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const {
    if (error) std::rethrow_exception(error);
  }
};

}  // namespace detail

// A coroutine that starts when it is first awaited and yields a T, or throws what escaped it.
// Move-only; the destructor destroys the coroutine wherever it is suspended.
template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using value_type = T;

  Task() noexcept = default;
  explicit Task(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}
  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      reset();
      coroutine_ = std::exchange(other.coroutine_, nullptr);
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() { reset(); }

  [[nodiscard]] bool valid() const noexcept { return coroutine_ != nullptr; }
  [[nodiscard]] bool done() const noexcept { return coroutine_ && coroutine_.done(); }

  // Destroys the coroutine. Must not be called by code that runs inside it.
  void reset() noexcept {
    if (coroutine_) std::exchange(coroutine_, nullptr).destroy();
  }

  // For the code that drives a task from outside a coroutine: runs it up to its first suspension; `continuation`
  // is resumed when it ends. Called once at most.
  void start(std::coroutine_handle<> continuation = std::noop_coroutine()) {
    coroutine_.promise().continuation = continuation;
    coroutine_.resume();
  }
  // The result of a task that is done(): the value, or the exception thrown again. Called once at most.
  T take() { return coroutine_.promise().take(); }

  auto operator co_await() && noexcept {
    struct Awaiter {
      std::coroutine_handle<promise_type> coroutine;
      [[nodiscard]] bool await_ready() const noexcept { return false; }
      // Runs the coroutine from here instead of transferring to it: only optimised builds turn a transfer into a jump,
      // and a loop over tasks that end at once would use up the stack of all others.
      bool await_suspend(std::coroutine_handle<> waiting) const {
        auto awaited = coroutine;
        bool destroyed = false;
        awaited.promise().destroyed = &destroyed;
        awaited.resume();
        if (destroyed) return true;  // what it waited for took us all along, this awaiter too
        awaited.promise().destroyed = nullptr;
        if (awaited.done()) return false;
        awaited.promise().continuation = waiting;
        return true;
      }
      T await_resume() const { return coroutine.promise().take(); }
    };
    return Awaiter{coroutine_};
  }

 private:
  std::coroutine_handle<promise_type> coroutine_;
};

namespace detail {

template <class T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

// Stands in for void where a value is stored.
struct Nothing {};
template <class T>
using Stored = std::conditional_t<std::is_void_v<T>, Nothing, T>;

}  // namespace detail
}  // namespace pronghorn
