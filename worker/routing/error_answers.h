// The response that a client gets if a handler throws, or if no handler answers.
#pragma once

#include <exception>
#include <string_view>

#include "common/ipc/scoreboard.h"
#include "pronghorn/handler.h"
#include "worker/exchange/exchange.h"

namespace pronghorn::worker {

// The response to an exception that escaped a handler or its middleware: HttpError and RedisUnavailable determine it
// themselves, an error in the client's body is 400 (Request::explain_errors), anything else 500 without details.
[[nodiscard]] ErrorAnswer answer_to_exception(Exchange& exchange, std::exception_ptr thrown) noexcept;

// Makes the response to a failed request: asks the application's on_error hook, if it has one, and answers with problem
// details otherwise. Exceptions that are errors of the application are logged and counted.
class ErrorAnswers {
 public:
  ErrorAnswers(const detail::ErrorHandler& hook, WorkerRow& row) noexcept : hook_(hook), row_(row) {}

  // Whether the hook is a coroutine: then only wait_for_response() may be called.
  [[nodiscard]] bool waits() const noexcept { return std::holds_alternative<detail::CoroutineErrorHandler>(hook_); }

  [[nodiscard]] Response response(Exchange& exchange, const ErrorAnswer& answer) const noexcept;
  // `answer` must outlive the task.
  [[nodiscard]] Task<Response> wait_for_response(Exchange& exchange, const ErrorAnswer& answer) const;

  // Problem details, without asking the hook.
  [[nodiscard]] Response built_in_response(Exchange& exchange, const ErrorAnswer& answer) const;

  // Logs an exception that is an error of the application, with the request, and counts it.
  void report(Exchange& exchange, std::string_view what, const std::exception_ptr& error) const noexcept;

 private:
  [[nodiscard]] Response finished(Exchange& exchange, const ErrorAnswer& answer, Response response) const;
  [[nodiscard]] Response hook_failed(Exchange& exchange, const ErrorAnswer& answer) const noexcept;

  const detail::ErrorHandler& hook_;
  WorkerRow& row_;
};

// Adds "request_id" to the members of a problem+json body that has none.
void add_request_id(Exchange& exchange, Response& response);

}  // namespace pronghorn::worker
