// A field value with parameters (RFC 9110 section 5.6.6): `form-data; name="a"; filename="b.txt"`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pronghorn::worker {

struct Parameter {
  std::string_view name;  // as sent; compared without case
  std::string value;      // unquoted
};

struct ParameterizedValue {
  std::string_view value;  // the part before the first ';', trimmed
  std::vector<Parameter> parameters;

  // The value of the parameter `name`; null if there is none.
  [[nodiscard]] const std::string* find(std::string_view name) const noexcept;
};

inline constexpr std::size_t kMaxParameters = 16;

// Parses `field`. nullopt if it is malformed, repeats a parameter, or has more than kMaxParameters. More lenient than
// the RFC in two points, because clients depend on it:
//  - an unquoted value may contain every visible character except '"', ';' and '\', thus also "=" and "/";
//  - in a quoted value a backslash escapes only '"' and '\'. Before any other character it is literal: some clients
//    send Windows paths unescaped.
[[nodiscard]] std::optional<ParameterizedValue> parse_parameters(std::string_view field);

}  // namespace pronghorn::worker
