// Coroutines: Task, waiting, and work beside the loop.
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

#include <chrono>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

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

class TimerQueue;  // worker/app/timer_queue.h

// A place in the loop's timer queue. The waiting coroutine's frame owns it; destroying it cancels the timer.
class PRONGHORN_API Timer {
 public:
  explicit Timer(std::chrono::nanoseconds delay) noexcept : delay_(delay) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { cancel(); }

  // Calls `expired(context)` on the loop after the delay, once.
  void arm(void (*expired)(void*), void* context);
  void cancel() noexcept;

  [[nodiscard]] bool await_ready() const noexcept { return delay_.count() <= 0; }
  void await_suspend(std::coroutine_handle<> waiting) {
    arm([](void* frame) { std::coroutine_handle<>::from_address(frame).resume(); }, waiting.address());
  }
  void await_resume() const noexcept {}

 private:
  friend class TimerQueue;
  std::chrono::nanoseconds delay_;
  std::chrono::steady_clock::time_point due_{};
  void (*expired_)(void*) = nullptr;
  void* context_ = nullptr;
  std::size_t position_ = 0;  // in the queue's heap, counted from 1; 0 is "not queued"
  TimerQueue* queue_ = nullptr;
};

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

// Keeps `task` alive until it ends; what escapes it is logged. The worker's drain waits for it.
PRONGHORN_API void spawn_detached(Task<void> task);

// Set by a detached task for whoever still waits for its result.
template <class T>
struct SharedResult {
  std::optional<Stored<T>> value;
  std::exception_ptr error;
  std::coroutine_handle<> waiting;
  bool done = false;
};

template <class T>
Task<void> run_into(Task<T> task, std::shared_ptr<SharedResult<T>> result) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
      result->value.emplace();
    } else {
      auto value = co_await std::move(task);
      result->value.emplace(std::move(value));
    }
  } catch (...) {
    result->error = std::current_exception();
  }
  result->done = true;
  if (result->waiting) std::exchange(result->waiting, nullptr).resume();
}

// Counts children down; the one that brings it to zero wakes the parent. One per when_all / when_any.
struct Countdown {
  explicit Countdown(std::size_t children) noexcept : left(children) {}
  Countdown(const Countdown&) = delete;
  Countdown& operator=(const Countdown&) = delete;
  ~Countdown() {
    if (destroyed) *destroyed = true;
  }
  std::size_t left;
  std::size_t last = 0;  // position of the child that brought it to zero
  std::coroutine_handle<> waiting;
  bool* destroyed = nullptr;  // told when it is destroyed while children are being started
};

// One concurrent branch of when_all / when_any. The countdown is taken at its final suspension, when the parent may
// already destroy it, never from inside its body.
class Child {
 public:
  struct promise_type {
    Countdown* countdown = nullptr;
    std::size_t position = 0;

    struct FinalAwaiter {
      [[nodiscard]] bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> finished) const noexcept {
        Countdown& all = *finished.promise().countdown;
        // Branches of a when_any may end after its first.
        if (all.left == 0 || --all.left > 0) return std::noop_coroutine();
        all.last = finished.promise().position;
        if (!all.waiting) return std::noop_coroutine();
        return std::exchange(all.waiting, nullptr);
      }
      void await_resume() const noexcept {}
    };

    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }
    Child get_return_object() noexcept { return Child(std::coroutine_handle<promise_type>::from_promise(*this)); }
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
    [[nodiscard]] FinalAwaiter final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }  // the body catches everything
  };

  explicit Child(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}
  Child(Child&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Child& operator=(Child&&) = delete;
  ~Child() {
    if (coroutine_) coroutine_.destroy();
  }
  void start(Countdown& countdown, std::size_t position) {
    coroutine_.promise().countdown = &countdown;
    coroutine_.promise().position = position;
    coroutine_.resume();
  }

 private:
  std::coroutine_handle<promise_type> coroutine_;
};

template <class T>
struct Outcome {
  std::optional<Stored<T>> value;
  std::exception_ptr error;
};

template <class T>
Child run_child(Task<T> task, Outcome<T>& outcome) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(task);
      outcome.value.emplace();
    } else {
      auto value = co_await std::move(task);
      outcome.value.emplace(std::move(value));
    }
  } catch (...) {
    outcome.error = std::current_exception();
  }
}

// Starts the children one after the other and suspends until the countdown is at zero. Stops starting them when it
// gets there early.
struct StartChildren {
  std::vector<Child>& children;
  Countdown& countdown;
  worker::Exchange* exchange = nullptr;
  bool suspended = false;

  [[nodiscard]] bool await_ready() const noexcept { return children.empty(); }
  bool await_suspend(std::coroutine_handle<> waiting) {
    worker::Exchange* const running = set_running(nullptr);
    exchange = running;
    suspended = true;
    bool destroyed = false;
    countdown.destroyed = &destroyed;
    for (std::size_t i = 0; i < children.size() && countdown.left > 0; ++i) {
      set_running(running);
      children[i].start(countdown, i);
      if (destroyed) return true;  // what the child waited for took us all along
    }
    countdown.destroyed = nullptr;
    if (countdown.left == 0) return false;
    countdown.waiting = waiting;
    set_running(nullptr);
    return true;
  }
  void await_resume() const noexcept {
    if (suspended) set_running(exchange);
  }
};

}  // namespace detail

// Thrown by with_deadline() when time is up.
class PRONGHORN_API DeadlineExceeded : public std::runtime_error {
 public:
  DeadlineExceeded() : std::runtime_error("deadline exceeded") {}
};

// Waits without blocking the loop. Zero or less continues at once. Resolution: 1 ms.
inline detail::Timer sleep_for(std::chrono::nanoseconds duration) noexcept { return detail::Timer(duration); }

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

// Runs `task` in the background, beginning now. What escapes it is logged. A draining worker waits for it as it does
// for requests, up to drain_timeout.
inline void spawn(Task<void> task) { detail::spawn_detached(std::move(task)); }

// Runs `task` to its end even when the awaiting coroutine is destroyed meanwhile; yields its result.
template <class T>
Task<T> shield(Task<T> task) {
  auto result = std::make_shared<detail::SharedResult<T>>();
  struct Awaiter {
    std::shared_ptr<detail::SharedResult<T>> result;
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    explicit Awaiter(std::shared_ptr<detail::SharedResult<T>> shared) : result(std::move(shared)) {}
    ~Awaiter() { result->waiting = nullptr; }
    [[nodiscard]] bool await_ready() const noexcept { return result->done; }
    void await_suspend(std::coroutine_handle<> waiting) const noexcept { result->waiting = waiting; }
    void await_resume() const noexcept {}
  };
  spawn(detail::run_into(std::move(task), result));
  Awaiter finished(result);
  co_await finished;
  if (result->error) std::rethrow_exception(result->error);
  if constexpr (!std::is_void_v<T>) co_return std::move(*result->value);
}

// Runs all tasks concurrently and yields their results as a tuple (detail::Nothing for void). When some throw, all are
// still waited for; the first error in argument order is thrown.
template <class... T>
Task<std::tuple<detail::Stored<T>...>> when_all(Task<T>... tasks) {
  std::tuple<detail::Outcome<T>...> outcomes;
  detail::Countdown countdown(sizeof...(T));
  std::vector<detail::Child> children;
  children.reserve(sizeof...(T));
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (children.push_back(detail::run_child(std::move(tasks), std::get<I>(outcomes))), ...);
  }(std::index_sequence_for<T...>{});
  detail::StartChildren started{children, countdown};
  co_await started;
  std::apply([](auto&... outcome) { ((outcome.error ? std::rethrow_exception(outcome.error) : void()), ...); },
             outcomes);
  co_return std::apply([](auto&... outcome) { return std::tuple<detail::Stored<T>...>(std::move(*outcome.value)...); },
                       outcomes);
}

// The same for any number of tasks of one type, results in order.
template <class T>
  requires(!std::is_void_v<T>)
Task<std::vector<T>> when_all(std::vector<Task<T>> tasks) {
  std::vector<detail::Outcome<T>> outcomes(tasks.size());
  detail::Countdown countdown(tasks.size());
  std::vector<detail::Child> children;
  children.reserve(tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    children.push_back(detail::run_child(std::move(tasks[i]), outcomes[i]));
  }
  detail::StartChildren started{children, countdown};
  co_await started;
  std::vector<T> results;
  results.reserve(outcomes.size());
  for (auto& outcome : outcomes) {
    if (outcome.error) std::rethrow_exception(outcome.error);
    results.push_back(std::move(*outcome.value));
  }
  co_return results;
}

// Runs all tasks concurrently; yields the result of the first to end (or throws its error) in the variant alternative
// of its position, and destroys the others.
template <class... T>
  requires(sizeof...(T) > 0)
Task<std::variant<detail::Stored<T>...>> when_any(Task<T>... tasks) {
  std::tuple<detail::Outcome<T>...> outcomes;
  detail::Countdown countdown(1);
  std::vector<detail::Child> children;
  children.reserve(sizeof...(T));
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (children.push_back(detail::run_child(std::move(tasks), std::get<I>(outcomes))), ...);
  }(std::index_sequence_for<T...>{});
  detail::StartChildren started{children, countdown};
  co_await started;
  const std::size_t winner = countdown.last;
  children.clear();  // the others end here, not when the caller lets go of this task
  std::optional<std::variant<detail::Stored<T>...>> first;
  const auto take = [&]<std::size_t I>(std::integral_constant<std::size_t, I>) {
    auto& outcome = std::get<I>(outcomes);
    if (outcome.error) std::rethrow_exception(outcome.error);
    first.emplace(std::in_place_index<I>, std::move(*outcome.value));
  };
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    ((I == winner ? take(std::integral_constant<std::size_t, I>{}) : void()), ...);
  }(std::index_sequence_for<T...>{});
  co_return std::move(*first);
}

// Yields the result of `task`, or destroys it and throws DeadlineExceeded after `limit`.
template <class T>
Task<T> with_deadline(std::chrono::nanoseconds limit, Task<T> task) {
  auto expiry = [](std::chrono::nanoseconds delay) -> Task<void> { co_await sleep_for(delay); };
  auto result = co_await when_any(std::move(task), expiry(limit));
  if (result.index() == 1) throw DeadlineExceeded();
  if constexpr (!std::is_void_v<T>) co_return std::get<0>(std::move(result));
}

}  // namespace pronghorn
