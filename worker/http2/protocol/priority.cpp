#include "worker/http2/protocol/priority.h"

#include "worker/fields/text.h"

namespace pronghorn::worker {

nghttp2_extpri parse_priority(std::string_view field, nghttp2_extpri otherwise) noexcept {
  nghttp2_extpri priority = otherwise;
  while (!field.empty()) {
    std::string_view member = take_until(field, ',');
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
