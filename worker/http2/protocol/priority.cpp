#include "worker/http2/protocol/priority.h"

#include <algorithm>

#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

// The next member of a dictionary, which is taken from `field`. A comma in a string does not end it (RFC 8941 section
// 3.3.3).
std::string_view take_member(std::string_view& field) noexcept {
  std::size_t end = 0;
  for (bool quoted = false; end < field.size() && (quoted || field[end] != ','); ++end) {
    if (field[end] == '"') quoted = !quoted;
    if (field[end] == '\\') ++end;
  }
  const std::string_view member = field.substr(0, end);
  field.remove_prefix(std::min(end + 1, field.size()));
  return trim_blanks(member);
}

}  // namespace

nghttp2_extpri parse_priority(std::string_view field, nghttp2_extpri otherwise) noexcept {
  nghttp2_extpri priority = otherwise;
  while (!field.empty()) {
    std::string_view member = take_member(field);
    member = member.substr(0, member.find(';'));  // no parameter means anything (RFC 8941 section 3.2)
    if (member.size() == 3 && member.starts_with("u=") && member[2] >= '0' && member[2] <= '7') {
      priority.urgency = static_cast<std::uint32_t>(member[2] - '0');
    } else if (member == "i" || member == "i=?1") {
      priority.inc = 1;
    } else if (member == "i=?0") {
      priority.inc = 0;
    }
  }
  return priority;
}

}  // namespace pronghorn::worker
