// Handlers and middleware: the functions that App, Group and Route take, and their possible signatures.
//
// Each may be a function, a lambda or another callable. The server calls it on the loop thread. A plain function
// answers at once; a coroutine (which returns a Task) may wait. The server keeps the callable until the worker ends, so
// a lambda that is a coroutine may use its captures.
#pragma once

#include <concepts>
#include <coroutine>
#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "pronghorn/detail/callable.h"
#include "pronghorn/detail/export.h"
#include "pronghorn/error.h"
#include "pronghorn/request.h"
#include "pronghorn/response.h"
#include "pronghorn/task.h"
#include "pronghorn/worker.h"

namespace pronghorn {

// The rest of the chain after a wrap: the middleware after it and the handler. Call it at most once; a second call
// throws std::logic_error. Awaiting the call throws what the handler threw.
class PRONGHORN_API Next {
 public:
  explicit Next(std::function<Task<Response>(Request&)> chain) : chain_(std::move(chain)) {}  // for the server
  [[nodiscard]] Task<Response> operator()(Request& request) const { return chain_(request); }

 private:
  std::function<Task<Response>(Request&)> chain_;
};

namespace detail {

using PlainHandler = std::function<Response(Request&)>;
using CoroutineHandler = std::function<Task<Response>(Request&)>;
using Handler = std::variant<PlainHandler, CoroutineHandler>;

using Hook = std::function<Task<void>(Worker&)>;

using PlainErrorHandler = std::function<Response(Request&, const ErrorAnswer&)>;
using CoroutineErrorHandler = std::function<Task<Response>(Request&, const ErrorAnswer&)>;
using ErrorHandler = std::variant<PlainErrorHandler, CoroutineErrorHandler>;

template <class F, class R, class... Args>
concept Returns = std::is_invocable_v<F&, Args...> && std::same_as<std::invoke_result_t<F&, Args...>, R>;

// A null pointer to a function, or an empty std::function.
template <class F>
bool is_empty_callable(const F& function) {
  if constexpr (requires { function == nullptr; }) {
    return function == nullptr;
  } else {
    return false;
  }
}

template <class F>
Handler make_handler(F function) {
  static_assert(check_kept_callable<F>());
  if constexpr (Returns<F, Task<Response>, Request&>) {
    return CoroutineHandler(std::move(function));
  } else if constexpr (std::is_invocable_r_v<Response, F&, Request&>) {
    return PlainHandler(std::move(function));
  } else {
    static_assert(kNever<F>, "a handler is Response(Request&) or Task<Response>(Request&)");
    return {};
  }
}

template <class F>
Hook make_hook(F function) {
  static_assert(check_kept_callable<F>());
  if (is_empty_callable(function)) return {};
  if constexpr (Returns<F, Task<void>, Worker&>) {
    return function;
  } else if constexpr (Returns<F, Task<void>>) {
    return [function = std::move(function)](Worker&) mutable { return function(); };
  } else if constexpr (Returns<F, void, Worker&>) {
    return [function = std::move(function)](Worker& worker) mutable -> Task<void> {
      function(worker);
      co_return;
    };
  } else if constexpr (Returns<F, void>) {
    return [function = std::move(function)](Worker&) mutable -> Task<void> {
      function();
      co_return;
    };
  } else {
    static_assert(kNever<F>, "a hook is void(Worker&) or Task<void>(Worker&), or the same without a parameter");
    return {};
  }
}

// The argument of a hook that takes an exception_ptr: what the handler threw if that is an error of the application,
// else an HttpError with the response that the server would send.
PRONGHORN_API std::exception_ptr as_exception(const ErrorAnswer& answer);

template <class F>
ErrorHandler make_error_handler(F function) {
  static_assert(check_kept_callable<F>());
  if (is_empty_callable(function)) return {};
  if constexpr (Returns<F, Task<Response>, Request&, const ErrorAnswer&>) {
    return CoroutineErrorHandler(std::move(function));
  } else if constexpr (std::is_invocable_r_v<Response, F&, Request&, const ErrorAnswer&>) {
    return PlainErrorHandler(std::move(function));
  } else if constexpr (Returns<F, Task<Response>, Request&, std::exception_ptr>) {
    return CoroutineErrorHandler([function = std::move(function)](Request& request, const ErrorAnswer& answer) mutable {
      return function(request, as_exception(answer));
    });
  } else if constexpr (std::is_invocable_r_v<Response, F&, Request&, std::exception_ptr>) {
    return PlainErrorHandler(
        [function = std::move(function)](Request& request, const ErrorAnswer& answer) mutable -> Response {
          return function(request, as_exception(answer));
        });
  } else {
    static_assert(kNever<F>,
                  "on_error takes Response(Request&, const ErrorAnswer&) or Response(Request&, std::exception_ptr), or "
                  "the same with Task<Response>");
    return {};
  }
}

}  // namespace detail

// Code that runs around handlers. Its signature selects one of three forms:
//  - guard: std::optional<Response>(Request&), or a Task of that. Runs before the handler. A response ends the chain;
//    nullopt lets it continue.
//  - wrap: Task<Response>(Request&, Next). Runs around the rest of the chain. Sees what the handler returns or throws.
//  - after: void(Request&, Response&), or Task<void>. Changes every response of its routes, errors too, after the
//    session has been stored.
class PRONGHORN_API Middleware {
 public:
  using Guard = std::function<std::optional<Response>(Request&)>;
  using CoroutineGuard = std::function<Task<std::optional<Response>>(Request&)>;
  using Wrap = std::function<Task<Response>(Request&, Next)>;
  using After = std::function<void(Request&, Response&)>;
  using CoroutineAfter = std::function<Task<void>(Request&, Response&)>;
  using Function = std::variant<Guard, CoroutineGuard, Wrap, After, CoroutineAfter>;

  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, Middleware>)
  Middleware(F&& function)  // NOLINT(google-explicit-constructor): app.use(function)
      : function_(choose_form(std::decay_t<F>(std::forward<F>(function)))) {}

  [[nodiscard]] const Function& function() const noexcept { return function_; }  // for the server

 private:
  template <class F>
  static Function choose_form(F function) {
    static_assert(detail::check_kept_callable<F>());
    if constexpr (detail::Returns<F, Task<Response>, Request&, Next>) {
      return Wrap(std::move(function));
    } else if constexpr (detail::Returns<F, std::optional<Response>, Request&>) {
      return Guard(std::move(function));
    } else if constexpr (detail::Returns<F, Task<std::optional<Response>>, Request&>) {
      return CoroutineGuard(std::move(function));
    } else if constexpr (detail::Returns<F, void, Request&, Response&>) {
      return After(std::move(function));
    } else if constexpr (detail::Returns<F, Task<void>, Request&, Response&>) {
      return CoroutineAfter(std::move(function));
    } else {
      static_assert(detail::kNever<F>,
                    "middleware is optional<Response>(Request&), Task<Response>(Request&, Next) or "
                    "void(Request&, Response&); the first and the last may return a Task of that");
      return {};
    }
  }

  Function function_;
};

}  // namespace pronghorn

// Make the compiler explain a function with co_await or co_return that does not return a Task.
template <class... Args>
struct std::coroutine_traits<pronghorn::Response, Args...> {
  static_assert(pronghorn::detail::kNever<Args...>,
                "a handler that uses co_await or co_return returns Task<Response>, not Response");
};
template <class... Args>
struct std::coroutine_traits<std::optional<pronghorn::Response>, Args...> {
  static_assert(pronghorn::detail::kNever<Args...>,
                "a guard that uses co_await or co_return returns Task<std::optional<Response>>");
};
template <class Lambda>
struct std::coroutine_traits<void, Lambda, pronghorn::Worker&> {
  static_assert(pronghorn::detail::kNever<Lambda>,
                "a hook that uses co_await or co_return returns Task<void>: [](Worker&) -> Task<void> { ... }");
};
template <class Lambda>
struct std::coroutine_traits<void, Lambda, pronghorn::Writer&> {
  static_assert(pronghorn::detail::kNever<Lambda>,
                "the producer of a stream returns Task<void>: [](Writer& out) -> Task<void> { ... }");
};
