// Text inside the JSON records that the processes of a server pass to each other.
//
// JSON holds only UTF-8, but a path may be any bytes: such text is written as an array of its bytes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace pronghorn {

[[nodiscard]] nlohmann::json text_to_record(const std::string& text);
// Throws nlohmann::json::exception or std::runtime_error if `record` is not text.
[[nodiscard]] std::string text_from_record(const nlohmann::json& record);

}  // namespace pronghorn
