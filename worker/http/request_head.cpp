#include "worker/http/request_head.h"

#include "worker/http/syntax.h"

namespace pronghorn::worker {

void RequestHead::clear() noexcept {
  method = target = path = query = authority = {};
  minor_version = 1;
  keep_alive = true;
  chunked = false;
  expect_continue = false;
  content_length.reset();
  field_count = 0;
  known.fill(-1);
}

std::optional<std::string_view> RequestHead::find(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < field_count; ++i) {
    if (fields[i].name.size() == name.size() && equal_ignoring_case(fields[i].name, name)) return fields[i].value;
  }
  return std::nullopt;
}

void RequestHead::rebase(const char* from, const char* to, std::size_t size) noexcept {
  // Views of literals, such as the path of "http://host", stay as they are.
  const auto move = [from, to, size](std::string_view& view) {
    if (view.data() >= from && view.data() <= from + size) view = {to + (view.data() - from), view.size()};
  };
  move(method);
  move(target);
  move(path);
  move(query);
  move(authority);
  for (std::size_t i = 0; i < field_count; ++i) {
    move(fields[i].name);
    move(fields[i].value);
  }
}

}  // namespace pronghorn::worker
