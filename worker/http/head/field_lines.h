// Header fields as they are sent: lines "Name: value\r\n".
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

namespace pronghorn::worker {

// Finds the first line whose name is `name`, compared without case. Returns its position and its size with CRLF;
// {npos, 0} if there is none.
[[nodiscard]] std::pair<std::size_t, std::size_t> find_field(std::string_view fields, std::string_view name) noexcept;

// Calls visit(name, value, line) for each line; `line` includes the CRLF. False, after the lines before it, if one is
// malformed.
template <class Visit>
bool for_each_field_line(std::string_view fields, Visit visit) {
  while (!fields.empty()) {
    const std::size_t end = fields.find("\r\n");
    if (end == std::string_view::npos) return false;
    const std::string_view line = fields.substr(0, end);
    const std::size_t colon = line.find(": ");
    if (colon == std::string_view::npos) return false;
    visit(line.substr(0, colon), line.substr(colon + 2), fields.substr(0, end + 2));
    fields.remove_prefix(end + 2);
  }
  return true;
}

}  // namespace pronghorn::worker
