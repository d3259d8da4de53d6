// The character classes of HTTP: tokens (RFC 9110 section 5.6.2), targets and hosts (RFC 3986), field values (RFC 9110
// section 5.5), cookie values (RFC 6265 section 4.1.1). Each test is one table lookup per character.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pronghorn::worker {

// A character belongs to any number of these classes; kTable holds the bits of each byte.
namespace character_class {

enum : std::uint8_t {
  kToken = 1,
  kTarget = 2,
  kHost = 4,
  kCookieValue = 8,
  kPercent = 16,
  kQuestion = 32,
  kFieldValue = 64
};

consteval std::array<std::uint8_t, 256> make_table() {
  std::array<std::uint8_t, 256> table{};
  const auto mark = [&table](std::string_view characters, std::uint8_t bits) {
    for (const char c : characters) table[static_cast<unsigned char>(c)] |= bits;
  };
  constexpr std::string_view kAlphaDigit = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  mark(kAlphaDigit, kToken | kTarget | kHost);
  mark("!#$%&'*+-.^_`|~", kToken);
  // RFC 3986, and a few characters that browsers send without encoding them. '#' starts a fragment, which is never
  // sent.
  mark("-._~:/?[]@!$&'()*+,;=%|^`{}\"<>\\", kTarget);
  mark("-._~!$&'()*+;=%", kHost);  // RFC 3986 allows a comma too, but that is what two joined Host fields look like
  mark("%", kPercent);
  mark("?", kQuestion);
  for (int c = 0x21; c < 0x7f; ++c) {
    if (c != '"' && c != ',' && c != ';' && c != '\\') table[static_cast<std::size_t>(c)] |= kCookieValue;
  }
  for (std::size_t c = 0; c < table.size(); ++c) {
    if ((c >= 0x20 || c == '\t') && c != 0x7f) table[c] |= kFieldValue;
  }
  return table;
}
inline constexpr std::array<std::uint8_t, 256> kTable = make_table();

// Does not stop at the first mismatch: one branch per text is cheaper than one per character, and valid text is the
// common case.
inline bool all_of(std::string_view text, std::uint8_t bit) noexcept {
  std::uint8_t common = bit;
  for (const char c : text) common &= kTable[static_cast<unsigned char>(c)];
  return common != 0;
}

}  // namespace character_class

// A token: a method or a field name. Not empty.
inline bool is_token(std::string_view text) noexcept {
  return !text.empty() && character_class::all_of(text, character_class::kToken);
}

// The characters of a request target. Not empty. Says nothing about the target's structure.
inline bool is_target_text(std::string_view text) noexcept {
  return !text.empty() && character_class::all_of(text, character_class::kTarget);
}

// A cookie value without quotation marks; may be empty.
inline bool is_cookie_value(std::string_view text) noexcept {
  return character_class::all_of(text, character_class::kCookieValue);
}

// A field value: no control characters except HTAB. Bytes above 0x7f are allowed (obs-text). May be empty.
inline bool is_field_value(std::string_view text) noexcept {
  return character_class::all_of(text, character_class::kFieldValue);
}

}  // namespace pronghorn::worker
