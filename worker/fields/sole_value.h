// Fields that have one value and not a list.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "pronghorn/request.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {

struct SoleValue {
  std::string_view value = {};  // of the last one
  std::size_t count = 0;        // more than one: the message is malformed (RFC 9110 section 5.3)
};

// The field named `name`, compared without case.
[[nodiscard]] inline SoleValue sole_value(std::span<const Request::Header> fields, std::string_view name) noexcept {
  SoleValue found;
  for (const Request::Header& field : fields) {
    if (!equal_ignoring_case(field.name, name)) continue;
    found.value = field.value;
    ++found.count;
  }
  return found;
}

}  // namespace pronghorn::worker
