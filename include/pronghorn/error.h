// Exceptions that become the response to a request.
#pragma once

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pronghorn/detail/export.h"

namespace pronghorn {

// Thrown by a handler or middleware to answer with `status`, header fields and a problem+json body (RFC 9457) whose
// detail is what(). Any other exception that escapes a handler is logged and answered 500 without details.
class PRONGHORN_API HttpError : public std::runtime_error {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  // `status` is 400..599; any other value is logged and answered 500. The client sees `detail`. A 401 without challenge
  // gets "Bearer", a 405 without Allow the other methods of the path, a 426 without Upgrade "websocket".
  HttpError(int status, const std::string& detail) : std::runtime_error(detail), status_(status) {}

  [[nodiscard]] int status() const noexcept { return status_; }

  // Adds a header field to the answer, beside others of its name: throw HttpError(415, "...").set("Accept", "text/csv").
  // Throws std::invalid_argument as Response::set() does.
  HttpError& set(std::string_view name, std::string_view value) &;
  [[nodiscard]] HttpError set(std::string_view name, std::string_view value) && {
    return std::move(this->set(name, value));
  }
  // Adds Retry-After (RFC 9110 section 10.2.3) in seconds; a time that has passed is 0.
  HttpError& retry_after(int seconds) & { return set("Retry-After", std::to_string(std::max(seconds, 0))); }
  [[nodiscard]] HttpError retry_after(int seconds) && { return std::move(this->retry_after(seconds)); }
  [[nodiscard]] const Fields& fields() const noexcept { return fields_; }

 private:
  int status_;
  Fields fields_;
};

// The response that the server would send for a failed request. See App::on_error().
struct ErrorAnswer {
  int status = 500;               // 400..599
  std::string detail = {};        // for the client; empty if the status suffices or the cause is confidential
  HttpError::Fields fields = {};  // such as Retry-After, WWW-Authenticate or Allow
  std::exception_ptr cause = {};  // what escaped the handler or its middleware; null if the server refused the request
};

inline HttpError bad_request(const std::string& detail) { return {400, detail}; }
// A 401 must say how to authenticate (RFC 9110 section 15.5.2): `challenge` is the value of WWW-Authenticate. For
// R"(Basic realm="shop")" a browser asks the user for a password.
inline HttpError unauthorized(const std::string& detail, std::string_view challenge = "Bearer") {
  return HttpError(401, detail).set("WWW-Authenticate", challenge);
}
inline HttpError forbidden(const std::string& detail) { return {403, detail}; }
inline HttpError not_found(const std::string& detail) { return {404, detail}; }
inline HttpError conflict(const std::string& detail) { return {409, detail}; }

}  // namespace pronghorn
