// Errors that a handler throws to answer a request.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pronghorn/detail/export.h"

namespace pronghorn {

// Thrown by a handler or middleware to answer with `status` and a problem+json body (RFC 9457) that carries
// `what()` as its detail. Anything else that escapes a handler is logged and answered 500 without details.
class PRONGHORN_API HttpError : public std::runtime_error {
 public:
  // `status` is 400..599; another value is answered 500. `detail` is shown to the client.
  HttpError(int status, const std::string& detail) : std::runtime_error(detail), status_(status) {}

  [[nodiscard]] int status() const noexcept { return status_; }

  // Seconds for a Retry-After field; 0, the default, sends none.
  [[nodiscard]] int retry_after() const noexcept { return retry_after_; }
  HttpError& retry_after(int seconds) noexcept {
    retry_after_ = seconds;
    return *this;
  }

  // Adds a header field to the response, such as WWW-Authenticate to a 401. Throws std::invalid_argument as
  // Response::set() does.
  HttpError& set(std::string_view name, std::string_view value);
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& fields() const noexcept { return fields_; }

 private:
  int status_;
  int retry_after_ = 0;
  std::vector<std::pair<std::string, std::string>> fields_;
};

inline HttpError bad_request(const std::string& detail) { return {400, detail}; }
inline HttpError unauthorized(const std::string& detail) { return {401, detail}; }
inline HttpError forbidden(const std::string& detail) { return {403, detail}; }
inline HttpError not_found(const std::string& detail) { return {404, detail}; }
inline HttpError conflict(const std::string& detail) { return {409, detail}; }

}  // namespace pronghorn
