// Characters that neither a terminal nor a line of the log gets as they are.
#pragma once

#include <string_view>

namespace pronghorn {

// The character of a well-formed sequence of UTF-8.
[[nodiscard]] constexpr char32_t utf8_character(std::string_view sequence) noexcept {
  const unsigned lead_bits = sequence.size() == 1 ? 0x7FU : 0xFFU >> (sequence.size() + 1);
  char32_t character = static_cast<unsigned char>(sequence[0]) & lead_bits;
  for (const char c : sequence.substr(1)) character = character << 6U | (static_cast<unsigned char>(c) & 0x3FU);
  return character;
}

// Whether it ends a line, or changes how a terminal shows the rest of it: C0, DEL and C1 controls, line and paragraph
// separators, direction overrides.
[[nodiscard]] constexpr bool is_control(char32_t character) noexcept {
  return character < 0x20 || (character >= 0x7F && character <= 0x9F) || character == 0x2028 || character == 0x2029 ||
         (character >= 0x202A && character <= 0x202E) || (character >= 0x2066 && character <= 0x2069);
}

}  // namespace pronghorn
