// JSON objects of tokens and keys: bytes of strangers, to be read in one way only.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace pronghorn::worker {

// nullopt unless `text` is one JSON object (RFC 8259) in UTF-8 that is nested at most 16 levels deep, in which no
// object has a name twice, and whose numbers a double can hold. Takes time proportional to the length of `text` (times
// the logarithm of the number of members of an object).
[[nodiscard]] std::optional<nlohmann::json> parse_strict_object(std::string_view text);

}  // namespace pronghorn::worker
