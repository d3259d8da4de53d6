#include "worker/http2/protocol/priority.h"

#include <cstdint>
#include <variant>

#include "worker/fields/dictionary.h"

namespace pronghorn::worker {

nghttp2_extpri parse_priority(std::string_view field, nghttp2_extpri otherwise) noexcept {
  nghttp2_extpri priority = otherwise;
  DictionaryReader members(field);
  while (const auto member = members.next()) {
    if (member->key == "u") {
      const auto* const urgency = std::get_if<std::int64_t>(&member->value);
      const bool valid =
          urgency != nullptr && *urgency >= NGHTTP2_EXTPRI_URGENCY_HIGH && *urgency <= NGHTTP2_EXTPRI_URGENCY_LOW;
      priority.urgency = valid ? static_cast<std::uint32_t>(*urgency) : otherwise.urgency;
    } else if (member->key == "i") {
      const auto* const incremental = std::get_if<bool>(&member->value);
      priority.inc = incremental != nullptr ? static_cast<int>(*incremental) : otherwise.inc;
    }
  }
  return members.malformed() ? otherwise : priority;
}

}  // namespace pronghorn::worker
