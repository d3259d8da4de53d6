// JSON to text and back. Compiled once: a source that instantiates nlohmann-json's parser takes seconds more to
// compile.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace pronghorn {

// Throws nlohmann::json::parse_error.
[[nodiscard]] nlohmann::json parse_json(std::string_view text);
// Returns a discarded value (is_discarded()) if the text is not JSON.
[[nodiscard]] nlohmann::json try_parse_json(std::string_view text);
// In one line, or with `indent` blanks for each level. Bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string dump_json(const nlohmann::json& value, int indent = -1);

}  // namespace pronghorn
