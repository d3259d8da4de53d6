// Checks of functions that an application passes: whether they can be kept, and whether they may be written inside the
// operand of a co_await.
//
// GCC before 13 destroys some temporaries of a co_await's operand twice: lambdas with captures that own something, and
// aggregates with such members. Functions of this API that take such a temporary reject it at compile time.
#pragma once

#include <type_traits>

namespace pronghorn::detail {

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
inline constexpr bool kTemporariesAreDestroyedTwice = true;
#else
inline constexpr bool kTemporariesAreDestroyedTwice = false;
#endif

// F as deduced for a parameter F&&.
template <class F>
constexpr void check_awaited_callable() {
  static_assert(!kTemporariesAreDestroyedTwice || std::is_lvalue_reference_v<F> || std::is_trivially_destructible_v<F>,
                "GCC 12 destroys this lambda's captures twice: name the lambda (auto work = [...]{...};) and pass it "
                "without std::move");
}
template <class T>
constexpr void check_awaited_argument() {
  static_assert(!kTemporariesAreDestroyedTwice || std::is_lvalue_reference_v<T> || !std::is_aggregate_v<T> ||
                    std::is_trivially_destructible_v<T>,
                "GCC 12 destroys this aggregate's members twice: name it and pass it without std::move");
}

// For handlers, hooks and middleware, which std::function holds. In a static_assert, so that its error is the first.
template <class F>
constexpr bool check_kept_callable() {
  static_assert(std::is_copy_constructible_v<F>,
                "this function cannot be copied: let it capture a shared_ptr, or keep its data in app.state<T>()");
  return true;
}

}  // namespace pronghorn::detail
