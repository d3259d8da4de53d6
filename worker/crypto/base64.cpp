#include "worker/crypto/base64.h"

#include <array>
#include <cstdint>

namespace pronghorn::worker {
namespace {

constexpr std::string_view kUrlAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kPlainAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kInvalid = 0xff;

using Table = std::array<std::uint8_t, 256>;

consteval Table values_of(std::string_view alphabet) {
  Table table{};
  table.fill(kInvalid);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}

constexpr Table kUrlValues = values_of(kUrlAlphabet);
constexpr Table kPlainValues = values_of(kPlainAlphabet);

}  // namespace

std::string encode_base64(std::string_view bytes, Base64 alphabet) {
  const std::string_view letters = alphabet == Base64::url ? kUrlAlphabet : kPlainAlphabet;
  std::string text;
  text.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t bits = 0;
  unsigned held = 0;  // how many of `bits` are not yet encoded
  for (const char byte : bytes) {
    bits = (bits << 8) | static_cast<unsigned char>(byte);
    for (held += 8; held >= 6; held -= 6) text += letters[(bits >> (held - 6)) & 63];
  }
  if (held != 0) text += letters[(bits << (6 - held)) & 63];
  return text;
}

std::optional<std::string> decode_base64(std::string_view text, Base64 alphabet) {
  if (text.size() % 4 == 1) return std::nullopt;
  const Table& values = alphabet == Base64::url ? kUrlValues : kPlainValues;
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const char letter : text) {
    const std::uint8_t value = values[static_cast<unsigned char>(letter)];
    if (value == kInvalid) return std::nullopt;
    bits = (bits << 6) | value;
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes += static_cast<char>((bits >> held) & 0xff);
    }
  }
  if ((bits & ((1U << held) - 1)) != 0) return std::nullopt;
  return bytes;
}

}  // namespace pronghorn::worker
