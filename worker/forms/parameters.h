// A field value with parameters (RFC 9110 section 5.6.6): `form-data; name="a"; filename="b.txt"`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pronghorn::worker {

struct Parameter {
  std::string_view name;  // as sent; compared without case
  std::string value;      // without its quotation marks
};

struct ParameterizedValue {
  std::string_view value;  // what stands before the first ';', without blanks around it
  std::vector<Parameter> parameters;

  // Null when there is none of that name.
  [[nodiscard]] const std::string* find(std::string_view name) const noexcept;
};

// nullopt when it is malformed, when two parameters have one name, or when there are more than kMaxParameters.
// Two leniencies, because clients need them:
//  - a value without quotation marks may have any visible character but '"', ';' and '\', so also "=" and "/";
//  - inside quotation marks a backslash escapes only '"' and '\': before anything else it stands for itself, because
//    names of files have been sent unescaped.
[[nodiscard]] std::optional<ParameterizedValue> parse_parameters(std::string_view field);

inline constexpr std::size_t kMaxParameters = 16;

}  // namespace pronghorn::worker
