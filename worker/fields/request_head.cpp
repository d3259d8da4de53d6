#include "worker/fields/request_head.h"

#include "worker/fields/text.h"

namespace pronghorn::worker {

void RequestHead::clear() noexcept {
  method = target = path = query = authority = {};
  minor_version = 1;
  has_query = false;
  keep_alive = true;
  chunked = false;
  expect_continue = false;
  tunnel = false;
  content_length.reset();
  clear_fields();
}

void RequestHead::clear_fields() noexcept {
  field_count = 0;
  known = kNoneKnown;
  repeated = 0;
}

std::optional<std::string_view> RequestHead::find(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < field_count; ++i) {
    if (fields[i].name.size() == name.size() && equal_ignoring_case(fields[i].name, name)) return fields[i].value;
  }
  return std::nullopt;
}

}  // namespace pronghorn::worker
