// Helpers for the ASCII text of header fields, independent of the process's locale.
#pragma once

#include <cstddef>
#include <string_view>

namespace pronghorn::worker {

inline char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

// The value of a hexadecimal digit; -1 for any other character.
inline int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char letter = lower(c);
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

inline bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

inline bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

// Removes optional whitespace (RFC 9110 section 5.6.3) from both ends.
inline std::string_view trim_blanks(std::string_view text) noexcept {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// Removes the part before the next `separator`, and the separator, from `text`. Returns the part, trimmed. Without a
// separator the part is all of `text`.
inline std::string_view take_until(std::string_view& text, char separator) noexcept {
  const std::size_t end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return trim_blanks(part);
}

}  // namespace pronghorn::worker
