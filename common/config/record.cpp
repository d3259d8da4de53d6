#include "common/config/record.h"

#include <cstdint>
#include <vector>

#include "common/text/utf8.h"

namespace pronghorn {

nlohmann::json text_to_record(const std::string& text) {
  if (is_utf8(text)) return text;
  return std::vector<std::uint8_t>(text.begin(), text.end());
}

std::string text_from_record(const nlohmann::json& record) {
  if (!record.is_array()) return record.get<std::string>();
  const auto bytes = record.get<std::vector<std::uint8_t>>();
  return {bytes.begin(), bytes.end()};
}

}  // namespace pronghorn
