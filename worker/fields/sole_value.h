// Fields that have one value and not a list.
#pragma once

#include <cstddef>
#include <ctime>
#include <optional>
#include <span>
#include <string_view>

#include "pronghorn/request.h"
#include "worker/fields/http_date.h"
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

// The date in the only field of that name. Nothing if there are several, as if it were no date (RFC 9110 sections
// 13.1.3 and 13.1.4).
[[nodiscard]] inline std::optional<std::time_t> sole_date(std::span<const Request::Header> fields,
                                                          std::string_view name) noexcept {
  const auto [text, count] = sole_value(fields, name);
  return count == 1 ? parse_http_date(text) : std::nullopt;
}

}  // namespace pronghorn::worker
