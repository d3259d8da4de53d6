#include "worker/routing/error_responses.h"

#include <string>

#include "common/log.h"
#include "pronghorn/error.h"
#include "pronghorn/redis.h"
#include "worker/http/response_access.h"
#include "worker/runtime/exception_text.h"

namespace pronghorn::worker {

namespace {

Response describe_http_error(const HttpError& error) {
  const bool valid = error.status() >= 400 && error.status() <= 599;
  if (!valid) return problem(500);
  Response response = problem(error.status(), error.what());
  if (error.retry_after() > 0) response.set("Retry-After", std::to_string(error.retry_after()));
  for (const auto& [name, value] : error.fields()) response.append(name, value);
  return response;
}

Response built_in_response(Exchange& exchange, const std::exception_ptr& error, WorkerRow& row) {
  try {
    std::rethrow_exception(error);
  } catch (const HttpError& http_error) {
    return describe_http_error(http_error);
  } catch (const RedisUnavailable&) {
    Response response = problem(503, "the server's storage can not be reached at the moment");
    response.set("Retry-After", "1");
    return response;
  } catch (...) {
    report_error(exchange, "a handler failed", error, row);
    return problem(500);
  }
}

// What was wrong with the client's body is an HttpError, whoever noticed it.
std::exception_ptr with_body_errors_explained(Exchange& exchange, const std::exception_ptr& error) {
  if (exchange.body_error_text == nullptr) return error;
  const auto text = exchange.body_error_text(error);
  return text ? std::make_exception_ptr(bad_request(*text)) : error;
}

bool is_http_error(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const HttpError&) {
    return true;
  } catch (...) {
    return false;
  }
}

}  // namespace

void report_error(Exchange& exchange, std::string_view what, const std::exception_ptr& error, WorkerRow& row) noexcept {
  add(row[Count::handler_errors]);
  log_error(what, {{"request", exchange.id()},
                   {"method", exchange.head.method},
                   {"path", exchange.head.path},
                   {"route", exchange.route},
                   {"error", describe(error)}});
}

Response response_to_error(Exchange& exchange, const ErrorHandler& on_error, const std::exception_ptr& thrown,
                           WorkerRow& row) noexcept {
  const std::exception_ptr error = with_body_errors_explained(exchange, thrown);
  if (!on_error) return built_in_response(exchange, error, row);
  try {
    Response response = on_error(exchange.request, error);
    // A hook that makes a 404 of its application's own exceptions must not fill the log.
    if (response.status() >= 500 && !is_http_error(error)) report_error(exchange, "a handler failed", error, row);
    return response;
  } catch (...) {
    report_error(exchange, "a handler failed", error, row);
    report_error(exchange, "the on_error hook failed", std::current_exception(), row);
    return problem(500);
  }
}

Response server_answer(Exchange& exchange, const ErrorHandler& on_error, int status, std::string_view detail,
                       WorkerRow& row) noexcept {
  if (!on_error) return problem(status, detail);
  return response_to_error(exchange, on_error, std::make_exception_ptr(HttpError(status, std::string(detail))), row);
}

void add_request_id(Exchange& exchange, Response& response) {
  if (response.content_type() != "application/problem+json" || response.header("Content-Encoding")) return;
  std::string& body = ResponseAccess::body(response);
  if (body.size() < 3 || body.back() != '}' || body.find("\"request_id\":") != std::string::npos) return;
  body.pop_back();
  body.append(",\"request_id\":\"").append(exchange.id()).append("\"}");
}

}  // namespace pronghorn::worker
