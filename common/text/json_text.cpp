#include "common/text/json_text.h"

#include <nlohmann/json.hpp>

namespace pronghorn {

using nlohmann::json;

json parse_json(std::string_view text) { return json::parse(text); }

json try_parse_json(std::string_view text) { return json::parse(text, nullptr, false); }

std::string dump_json(const json& value, int indent) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

}  // namespace pronghorn
