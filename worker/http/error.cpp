#include "pronghorn/error.h"

#include "pronghorn/response.h"

namespace pronghorn {

HttpError& HttpError::set(std::string_view name, std::string_view value) {
  Response().set(name, value);  // checks them
  fields_.emplace_back(name, value);
  return *this;
}

}  // namespace pronghorn
