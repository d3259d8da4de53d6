#include "worker/http2/protocol/priority.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "worker/fields/dictionary.h"

namespace pronghorn::worker {

std::optional<nghttp2_extpri> read_priority(std::string_view field, nghttp2_extpri otherwise) noexcept {
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
  if (members.malformed()) return std::nullopt;
  return priority;
}

nghttp2_extpri parse_priority(std::string_view field, nghttp2_extpri otherwise) noexcept {
  return read_priority(field, otherwise).value_or(otherwise);
}

nghttp2_extpri asked_priority(const RequestHead& head) {
  std::string field;
  std::size_t lines = 0;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    if (head.fields[i].name != "priority") continue;
    field.append(lines++ == 0 ? "" : ", ").append(head.fields[i].value);
  }
  return parse_priority(field);
}

}  // namespace pronghorn::worker
