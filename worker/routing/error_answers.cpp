#include "worker/routing/error_answers.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/log.h"
#include "pronghorn/error.h"
#include "pronghorn/redis.h"
#include "worker/fields/text.h"
#include "worker/http/response_access.h"
#include "worker/runtime/exception_text.h"

namespace pronghorn::worker {

namespace {

bool is_error_status(int status) noexcept { return status >= 400 && status <= 599; }

bool is_http_error(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const HttpError& http_error) {
    return is_error_status(http_error.status());
  } catch (...) {
    return false;
  }
}

// An error of the application, which its developers should know about.
bool is_unexpected(const ErrorAnswer& answer) noexcept {
  return answer.cause && answer.status == 500 && answer.detail.empty() && !is_http_error(answer.cause);
}

// Several of one name, such as WWW-Authenticate, belong together.
void add_missing_fields(const ErrorAnswer& answer, Response& response) {
  HttpError::Fields missing = answer.fields;
  std::erase_if(missing, [&response](const auto& field) { return response.header(field.first).has_value(); });
  for (const auto& [name, value] : missing) response.append(name, value);
}

}  // namespace

ErrorAnswer answer_to_exception(Exchange& exchange, std::exception_ptr thrown) noexcept {
  ErrorAnswer answer;
  answer.cause = std::move(thrown);
  if (exchange.body_error_text != nullptr) {
    if (auto text = exchange.body_error_text(answer.cause)) {
      answer.status = 400;
      answer.detail = std::move(*text);
      return answer;
    }
  }
  try {
    std::rethrow_exception(answer.cause);
  } catch (const HttpError& error) {
    if (!is_error_status(error.status())) {
      answer.cause = std::make_exception_ptr(std::logic_error(
          "an HttpError with status " + std::to_string(error.status()) + "; use 400 to 599: " + error.what()));
      return answer;
    }
    answer.status = error.status();
    answer.detail = error.what();
    answer.fields = error.fields();
  } catch (const RedisUnavailable&) {
    answer.status = 503;
    answer.detail = "the server's storage is unavailable at the moment";
    answer.fields.emplace_back("Retry-After", "1");
  } catch (...) {  // stays a 500 without details
  }
  return answer;
}

Response ErrorAnswers::built_in_response(Exchange& exchange, const ErrorAnswer& answer) const {
  if (is_unexpected(answer)) report(exchange, "a handler failed", answer.cause);
  Response response = problem(answer.status, answer.detail);
  add_missing_fields(answer, response);
  return response;
}

// A hook that maps the application's own exceptions to 4xx must not fill the log.
Response ErrorAnswers::finished(Exchange& exchange, const ErrorAnswer& answer, Response response) const {
  if (response.status() >= 500 && is_unexpected(answer)) report(exchange, "a handler failed", answer.cause);
  if (response.status() == answer.status) add_missing_fields(answer, response);
  return response;
}

Response ErrorAnswers::hook_failed(Exchange& exchange, const ErrorAnswer& answer) const noexcept {
  const std::exception_ptr error = std::current_exception();
  if (answer.cause) report(exchange, "a handler failed", answer.cause);
  report(exchange, "the on_error hook failed", error);
  return problem(500);
}

Response ErrorAnswers::response(Exchange& exchange, const ErrorAnswer& answer) const noexcept {
  const auto* hook = std::get_if<detail::PlainErrorHandler>(&hook_);
  if (hook == nullptr || !*hook) return built_in_response(exchange, answer);
  try {
    return finished(exchange, answer, (*hook)(exchange.request, answer));
  } catch (...) {
    return hook_failed(exchange, answer);
  }
}

Task<Response> ErrorAnswers::wait_for_response(Exchange& exchange, const ErrorAnswer& answer) const {
  try {
    Response response = co_await std::get<detail::CoroutineErrorHandler>(hook_)(exchange.request, answer);
    co_return finished(exchange, answer, std::move(response));
  } catch (...) {
    co_return hook_failed(exchange, answer);
  }
}

void ErrorAnswers::report(Exchange& exchange, std::string_view what, const std::exception_ptr& error) const noexcept {
  add(row_[Count::handler_errors]);
  log_error(what, {{"request", exchange.id()},
                   {"method", exchange.head.method},
                   {"path", exchange.head.path},
                   {"route", exchange.route},
                   {"error", describe(error)}});
}

void add_request_id(Exchange& exchange, Response& response) {
  if (response.content_type() != "application/problem+json" || response.header("Content-Encoding")) return;
  std::string& body = ResponseAccess::body(response);
  if (body.size() < 3 || body.back() != '}' || body.find("\"request_id\":") != std::string::npos) return;
  body.pop_back();
  body.append(",\"request_id\":\"").append(exchange.id()).append("\"}");
}

}  // namespace pronghorn::worker
