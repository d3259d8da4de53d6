#include "pronghorn/error.h"

#include <string>

#include "pronghorn/handler.h"
#include "worker/http/response_access.h"

namespace pronghorn {

HttpError& HttpError::set(std::string_view name, std::string_view value) & {
  check_response_field(name, value);
  fields_.emplace_back(name, value);
  return *this;
}

namespace detail {

std::exception_ptr as_exception(const ErrorAnswer& answer) {
  if (answer.cause && answer.status == 500 && answer.detail.empty()) return answer.cause;
  HttpError error(answer.status, answer.detail);
  for (const auto& [name, value] : answer.fields) error.set(name, value);
  return std::make_exception_ptr(std::move(error));
}

}  // namespace detail
}  // namespace pronghorn
