// Weights of list elements, as in Accept and Accept-Encoding (RFC 9110 section 12.4.2).
#pragma once

#include <cstddef>
#include <string_view>

#include "worker/fields/text.h"

namespace pronghorn::worker {

// A qvalue in thousandths: "0.85" is 850. Malformed text is 0, so that nothing is preferred by accident.
inline int parse_quality(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return 0;
  if (text.size() > 1 && text[1] != '.') return 0;
  int value = 0;
  for (std::size_t i = 2; i < 5; ++i) {
    const char digit = i < text.size() ? text[i] : '0';
    if (digit < '0' || digit > '9') return 0;
    value = value * 10 + (digit - '0');
  }
  if (text[0] == '0') return value;
  return value == 0 ? 1000 : 0;
}

// The weight among the parameters behind a list element ("level=1;q=0.5"), in thousandths. The default is 1000.
inline int take_quality(std::string_view parameters) noexcept {
  int weight = 1000;
  while (!parameters.empty()) {
    std::string_view parameter = take_until(parameters, ';');
    const std::string_view name = take_until(parameter, '=');
    if (equal_ignoring_case(name, "q")) weight = parse_quality(trim_blanks(parameter));
  }
  return weight;
}

}  // namespace pronghorn::worker
