// Coroutines: a handler that has to wait returns a Task. It can await other tasks (every function of this API that
// waits returns one) and sleep_for().
//
// Context: everything here runs on the loop thread of a worker (or of a TestClient), except functions passed to
// offload(). Nothing may be awaited in a static initialiser or in the setup function, when there is no loop yet.
//
// Cancellation: destroying a Task destroys its coroutine at its suspension point. Local objects are destroyed as if an
// exception had been thrown; what the coroutine awaited (timer, Redis reply, offloaded result) is abandoned. The server
// destroys a handler's task when its client disconnects or its deadline passes.
//
// You may write awaitables of your own. They must resume the coroutine from a callback of the loop, never from inside
// another coroutine: it may be a branch of the same when_any, which is destroyed when its first branch ends.
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

namespace detail {

class Exchange;

// Coroutine frames come from free lists, one per size class: a handler's frame costs no malloc once they are filled.
PRONGHORN_API void* allocate_frame(std::size_t size);
PRONGHORN_API void free_frame(void* frame, std::size_t size) noexcept;

// Sets the request whose code runs on this thread (null: none) and returns the previous one. Log lines and crash
// reports name it. Coroutines keep it across suspensions: see Suspension.
PRONGHORN_API Exchange* set_running(Exchange* exchange) noexcept;

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

// Wraps every awaitable but Tasks: while the coroutine is suspended no request is running; when it resumes, its own is
// running again.
template <class Awaiter>
class Suspension {
 public:
  template <class A>
  explicit Suspension(A&& awaitable) : awaiter_(get_awaiter(std::forward<A>(awaitable))) {}

  bool await_ready() { return awaiter_.await_ready(); }
  // The awaiter's await_suspend may destroy the coroutine and this object with it, so nothing is touched afterwards.
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
    if (suspended_) set_running(exchange_);  // also if null: another request's code may have resumed this coroutine
    return awaiter_.await_resume();
  }

 private:
  Awaiter awaiter_;
  Exchange* exchange_ = nullptr;
  bool suspended_ = false;
};

// Throws std::logic_error: what it was used for cannot work with this task. Null: a task without a coroutine.
[[noreturn]] PRONGHORN_API void throw_task_misused(std::coroutine_handle<> task);

struct StartChildren;

struct PromiseBase {
  std::coroutine_handle<> continuation;  // null until the coroutine is started
  std::exception_ptr error;
  bool* destroyed = nullptr;  // set to true when the coroutine is destroyed

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

  // Child tasks and the branches of when_all run for the same request as this coroutine.
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

template <class...>
inline constexpr bool kNever = false;  // for static_assert in a template
template <class>
inline constexpr bool kIsCoroutineHandle = false;
template <class P>
inline constexpr bool kIsCoroutineHandle<std::coroutine_handle<P>> = true;

}  // namespace detail

// A coroutine that starts when it is awaited; co_await returns its T or throws what escaped it. Move-only. The
// destructor destroys the coroutine at its suspension point. Awaiting a task that is empty (moved from), runs already or
// has ended throws std::logic_error.
template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using value_type = T;

  Task() noexcept = default;  // no coroutine
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

  // For code that drives a task from outside a coroutine: runs it up to its first suspension. `continuation` is resumed
  // when it ends. Call at most once.
  void start(std::coroutine_handle<> continuation = std::noop_coroutine()) {
    require_unstarted();
    coroutine_.promise().continuation = continuation;
    coroutine_.resume();
  }
  // The result of a task that is done(), or the exception that escaped it. Call at most once.
  T take() {
    if (!coroutine_) detail::throw_task_misused(nullptr);
    return coroutine_.promise().take();
  }

  auto operator co_await() && {
    require_unstarted();
    struct Awaiter {
      std::coroutine_handle<promise_type> coroutine;
      [[nodiscard]] bool await_ready() const noexcept { return false; }
      // Resumes the coroutine from here instead of by symmetric transfer: only optimised builds turn a transfer into a
      // jump, and a loop over tasks that end at once would overflow the stack in the others.
      bool await_suspend(std::coroutine_handle<> waiting) const {
        auto awaited = coroutine;
        bool destroyed = false;
        awaited.promise().continuation = std::noop_coroutine();
        awaited.promise().destroyed = &destroyed;
        awaited.resume();
        if (destroyed) return true;  // what it awaited destroyed the whole chain, this awaiter too
        awaited.promise().destroyed = nullptr;
        if (awaited.done()) return false;
        awaited.promise().continuation = waiting;
        return true;
      }
      T await_resume() const { return coroutine.promise().take(); }
    };
    return Awaiter{coroutine_};
  }

  // Not real conversions: they are chosen only where a co_await or co_return is missing, and fail with an explanation.
  template <class Result = T>
    requires(!std::is_void_v<T> && std::same_as<Result, T>)
  operator Result() const {
    static_assert(detail::kNever<Result>, "co_await is missing: this is a Task, not the result of one");
  }
  template <class Value>
    requires(!std::is_void_v<T> && !std::same_as<std::remove_cvref_t<Value>, Task> && std::convertible_to<Value, T> &&
             !detail::kIsCoroutineHandle<std::remove_cvref_t<Value>>)
  Task(Value&&) {
    static_assert(detail::kNever<Value>, "a function that returns a Task is a coroutine: use co_return, not return");
  }

 private:
  // Resuming what is not there, waits for something else or has ended would end the worker.
  void require_unstarted() const {
    if (!coroutine_ || coroutine_.promise().continuation) [[unlikely]]
      detail::throw_task_misused(coroutine_);
  }

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

// Stored in place of void.
struct Nothing {};
template <class T>
using Stored = std::conditional_t<std::is_void_v<T>, Nothing, T>;

}  // namespace detail
}  // namespace pronghorn
