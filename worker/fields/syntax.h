// Character classes of HTTP (RFC 9110 section 5.6, RFC 3986), as tables.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace pronghorn::worker {

namespace syntax_detail {

enum : std::uint8_t { kToken = 1, kTarget = 2, kHost = 4, kCookieValue = 8, kPercent = 16, kQuestion = 32 };

consteval std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> classes{};
  const auto mark = [&classes](std::string_view characters, std::uint8_t bits) {
    for (const char c : characters) classes[static_cast<unsigned char>(c)] |= bits;
  };
  constexpr std::string_view kAlphaDigit = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  mark(kAlphaDigit, kToken | kTarget | kHost);
  mark("!#$%&'*+-.^_`|~", kToken);
  // What clients really send in a target: RFC 3986 characters and a few that browsers leave unencoded. No '#'.
  mark("-._~:/?[]@!$&'()*+,;=%|^`{}\"<>\\", kTarget);
  mark("-._~!$&'()*+;=%", kHost);  // not the comma that RFC 3986 allows: it is what two joined Host fields look like
  mark("%", kPercent);
  mark("?", kQuestion);
  for (int c = 0x21; c < 0x7f; ++c) {
    if (c != '"' && c != ',' && c != ';' && c != '\\') classes[static_cast<std::size_t>(c)] |= kCookieValue;
  }
  return classes;
}
inline constexpr std::array<std::uint8_t, 256> kClasses = make_classes();

inline bool all_of_class(std::string_view text, std::uint8_t bit) noexcept {
  std::uint8_t common = bit;  // without a branch a character: texts that are wrong need not be fast
  for (const char c : text) common &= kClasses[static_cast<unsigned char>(c)];
  return common != 0;
}

}  // namespace syntax_detail

// token: a method or a field name.
inline bool is_token(std::string_view text) noexcept {
  return !text.empty() && syntax_detail::all_of_class(text, syntax_detail::kToken);
}
inline bool is_target_text(std::string_view text) noexcept {
  return !text.empty() && syntax_detail::all_of_class(text, syntax_detail::kTarget);
}
inline bool is_cookie_value(std::string_view text) noexcept {
  return syntax_detail::all_of_class(text, syntax_detail::kCookieValue);
}
// field-value: no control characters but HTAB; bytes above 0x7f are allowed (obs-text).
inline bool is_field_value(std::string_view text) noexcept {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return false;
  }
  return true;
}
// uri-host [":" port] of RFC 3986 section 3.2: a bracketed IPv6 address, an IPv4 address or a name, and a port up to
// 65535 or none. The empty text is a Host too (RFC 9110 section 7.2). Two things that the grammar allows are refused: a
// comma in a name, which is what two joined Host fields look like, and addresses of future versions of IP.
bool is_host(std::string_view text) noexcept;

inline char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
// The value of a hexadecimal digit, -1 for another character.
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
inline std::string_view trim_blanks(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The position of the first field of that name among lines "Name: value\r\n", and its size with CRLF; a size of 0 when
// it is not there.
[[nodiscard]] std::pair<std::size_t, std::size_t> find_field(std::string_view fields, std::string_view name) noexcept;

// Decodes %XX. False when a '%' is not followed by two hex digits. `plus_is_space` is the rule of forms and queries.
[[nodiscard]] bool percent_decode(std::string_view text, std::string& decoded, bool plus_is_space);

}  // namespace pronghorn::worker
