#include "worker/http/head/field_lines.h"

#include "worker/fields/text.h"

namespace pronghorn::worker {

std::pair<std::size_t, std::size_t> find_field(std::string_view fields, std::string_view name) noexcept {
  std::size_t start = 0;
  while (start < fields.size()) {
    const std::size_t crlf = fields.find("\r\n", start);
    if (crlf == std::string_view::npos) break;
    const std::string_view line = fields.substr(start, crlf + 2 - start);
    if (line.size() > name.size() && line[name.size()] == ':' &&
        equal_ignoring_case(line.substr(0, name.size()), name)) {
      return {start, line.size()};
    }
    start += line.size();
  }
  return {std::string_view::npos, 0};
}

}  // namespace pronghorn::worker
