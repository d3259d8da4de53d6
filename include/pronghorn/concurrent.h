// Running tasks concurrently: in the background, until all or the first have ended, or with a deadline. Context and
// cancellation: see pronghorn/task.h.
#pragma once

#include <chrono>
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
#include "pronghorn/task.h"
#include "pronghorn/timer.h"

namespace pronghorn {
namespace detail {

// Keeps `task` alive until it ends; logs an exception that escapes it. See spawn().
PRONGHORN_API void spawn_detached(Task<void> task);

template <class F>
Task<void> run_kept(F function) {
  co_await function();
}

// The result of a detached task, for the coroutine that may still be waiting for it.
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

// Counts children that are running; the one that reaches zero resumes the parent. One per when_all or when_any.
struct Countdown {
  explicit Countdown(std::size_t children) noexcept : left(children) {}
  Countdown(const Countdown&) = delete;
  Countdown& operator=(const Countdown&) = delete;
  ~Countdown() {
    if (destroyed) *destroyed = true;
  }
  std::size_t left;
  std::size_t last = 0;  // position of the child that reached zero
  std::coroutine_handle<> waiting;
  bool* destroyed = nullptr;  // set to true when this is destroyed while children are being started
};

// One branch of when_all or when_any. It counts down at its final suspension, never inside its body, because the parent
// may destroy it as soon as the count reaches zero.
class Child {
 public:
  struct promise_type {
    Countdown* countdown = nullptr;
    std::size_t position = 0;

    struct FinalAwaiter {
      [[nodiscard]] bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> finished) const noexcept {
        Countdown& all = *finished.promise().countdown;
        // Other branches of a when_any may end after the first.
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

// Starts the children one after the other and suspends until the count is zero. If it reaches zero earlier, the rest
// are not started.
struct StartChildren {
  std::vector<Child>& children;
  Countdown& countdown;
  Exchange* exchange = nullptr;
  bool suspended = false;

  [[nodiscard]] bool await_ready() const noexcept { return children.empty(); }
  bool await_suspend(std::coroutine_handle<> waiting) {
    Exchange* const running = set_running(nullptr);
    exchange = running;
    suspended = true;
    bool destroyed = false;
    countdown.destroyed = &destroyed;
    for (std::size_t i = 0; i < children.size() && countdown.left > 0; ++i) {
      set_running(running);
      children[i].start(countdown, i);
      if (destroyed) return true;  // what the child waited for destroyed the whole chain
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

// Thrown by with_deadline(). Uncaught in a handler it is answered 500.
class PRONGHORN_API DeadlineExceeded : public std::runtime_error {
 public:
  DeadlineExceeded() : std::runtime_error("deadline exceeded") {}
};

// Starts `task` immediately and runs it in the background. An exception that escapes it is logged. A draining worker
// waits for it as for a request, up to drain_timeout; then it destroys the task at its suspension point. So the task
// must end: use App::every() for periodic work, and check worker.draining() in a loop.
inline void spawn(Task<void> task) { detail::spawn_detached(std::move(task)); }

// The same for a function without parameters, which is kept until its task has ended, so a lambda may use its captures:
//
//   spawn([who = std::string(name)]() -> Task<void> { ... });
//
// Pass the lambda itself. The task that a call of it yields, with () behind it, would lose the captures.
template <class F>
void spawn(F function) {
  if constexpr (std::is_invocable_r_v<Task<void>, F&>) {
    spawn(detail::run_kept(std::move(function)));
  } else {
    static_assert(detail::kNever<F>,
                  "spawn() takes a Task<void>, or a function that returns one: []() -> Task<void> { ... }");
  }
}

// Runs `task` as spawn() does, to its end even if the awaiting coroutine is destroyed meanwhile, and returns its
// result.
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

// Runs all tasks concurrently and returns their results as a tuple (detail::Nothing for void). If tasks throw, it still
// waits for all of them and then throws the first error in argument order.
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

// The same for any number of tasks of one type. Results are in the order of the tasks.
template <class T>
Task<std::vector<detail::Stored<T>>> when_all(std::vector<Task<T>> tasks) {
  std::vector<detail::Outcome<T>> outcomes(tasks.size());
  detail::Countdown countdown(tasks.size());
  std::vector<detail::Child> children;
  children.reserve(tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    children.push_back(detail::run_child(std::move(tasks[i]), outcomes[i]));
  }
  detail::StartChildren started{children, countdown};
  co_await started;
  std::vector<detail::Stored<T>> results;
  results.reserve(outcomes.size());
  for (auto& outcome : outcomes) {
    if (outcome.error) std::rethrow_exception(outcome.error);
    results.push_back(std::move(*outcome.value));
  }
  co_return results;
}

// Runs all tasks concurrently until the first ends, and destroys the others. Returns its result in the variant
// alternative of its position, or throws its error. Tasks are started in argument order; if one ends without waiting,
// those after it are not started.
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
  children.clear();  // destroys the others now, not when the caller destroys this task
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

// Returns the result of `task`; destroys it and throws DeadlineExceeded after `limit`.
template <class T>
Task<T> with_deadline(std::chrono::nanoseconds limit, Task<T> task) {
  auto expiry = [](std::chrono::nanoseconds delay) -> Task<void> { co_await sleep_for(delay); };
  auto result = co_await when_any(std::move(task), expiry(limit));
  if (result.index() == 1) throw DeadlineExceeded();
  if constexpr (!std::is_void_v<T>) co_return std::get<0>(std::move(result));
}

}  // namespace pronghorn
