// UTF-8 validation (RFC 3629).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace pronghorn {

// What a well-formed sequence looks like that starts with a given byte.
struct Utf8Lead {
  std::uint8_t length;          // of the sequence, 1..4; 0: no sequence starts with this byte
  std::uint8_t lowest = 0x80;   // the second byte: not an overlong form,
  std::uint8_t highest = 0xBF;  // not a surrogate, not above U+10FFFF
};

[[nodiscard]] constexpr Utf8Lead utf8_lead(unsigned char first) noexcept {
  if (first < 0x80) return {1};
  if (first < 0xC2) return {0};
  if (first < 0xE0) return {2};
  if (first == 0xE0) return {3, 0xA0};
  if (first == 0xED) return {3, 0x80, 0x9F};
  if (first < 0xF0) return {3};
  if (first == 0xF0) return {4, 0x90};
  if (first == 0xF4) return {4, 0x80, 0x8F};
  return {static_cast<std::uint8_t>(first < 0xF4 ? 4 : 0)};
}

// The length (1..4) of the well-formed sequence at the start of `text`; 0 if there is none.
[[nodiscard]] constexpr std::size_t utf8_sequence(std::string_view text) noexcept {
  if (text.empty()) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const Utf8Lead lead = utf8_lead(byte(0));
  if (text.size() < lead.length) return 0;
  for (std::size_t i = 1; i < lead.length; ++i) {
    const bool second = i == 1;
    if (byte(i) < (second ? lead.lowest : 0x80) || byte(i) > (second ? lead.highest : 0xBF)) return 0;
  }
  return lead.length;
}

// Checks a text that arrives in pieces, cut anywhere.
class Utf8Stream {
 public:
  // False as soon as a byte cannot belong to a well-formed text, whatever follows. The object is of no use then.
  [[nodiscard]] constexpr bool add(std::string_view piece) noexcept {
    for (std::size_t i = 0; i < piece.size(); ++i) {
      if (missing_ == 0) i += ascii(piece.substr(i));
      if (i == piece.size()) break;
      const auto byte = static_cast<unsigned char>(piece[i]);
      if (missing_ == 0) {
        next_ = utf8_lead(byte);
        if (next_.length == 0) return false;
        missing_ = static_cast<std::uint8_t>(next_.length - 1);
      } else {
        if (byte < next_.lowest || byte > next_.highest) return false;
        next_ = {0};  // the bytes after the second one may be any of 80..BF
        --missing_;
      }
    }
    return true;
  }
  // Whether the text could end here, not within a sequence.
  [[nodiscard]] constexpr bool complete() const noexcept { return missing_ == 0; }

 private:
  // How many bytes at the start of `text` are surely ASCII: a multiple of eight.
  [[nodiscard]] static constexpr std::size_t ascii(std::string_view text) noexcept {
    std::size_t size = 0;
    if (std::is_constant_evaluated()) return size;
    for (std::uint64_t eight = 0; size + sizeof eight <= text.size(); size += sizeof eight) {
      std::memcpy(&eight, text.data() + size, sizeof eight);
      if ((eight & 0x8080808080808080U) != 0) break;
    }
    return size;
  }

  Utf8Lead next_{0};          // the range of the next byte within a sequence
  std::uint8_t missing_ = 0;  // bytes until the end of the sequence
};

[[nodiscard]] constexpr bool is_utf8(std::string_view text) noexcept {
  Utf8Stream stream;
  return stream.add(text) && stream.complete();
}

}  // namespace pronghorn
