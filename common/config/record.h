// Text inside the JSON records that processes of this program hand to each other.
//
// JSON holds UTF-8 only, but a path may be any bytes: such text is written as the array of its bytes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace pronghorn {

[[nodiscard]] nlohmann::json text_to_record(const std::string& text);
// Throws nlohmann::json::exception or std::runtime_error when `record` is no text.
[[nodiscard]] std::string text_from_record(const nlohmann::json& record);

}  // namespace pronghorn
