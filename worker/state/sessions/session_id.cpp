#include "worker/state/sessions/session_id.h"

#include <array>
#include <charconv>
#include <cstdint>

#include "pronghorn/secrets.h"
#include "worker/crypto/base64.h"
#include "worker/state/keys/digest.h"

namespace pronghorn::worker {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t kBytes = 32;
constexpr std::size_t kCharacters = 43;  // 6 bits each, without padding

constexpr std::uint8_t kForeign = 64;

// The six bits of each character; kForeign for those that are not in the alphabet.
constexpr std::array<std::uint8_t, 256> kValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kForeign);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}();

std::uint8_t value_of(char character) noexcept { return kValues[static_cast<unsigned char>(character)]; }

// The last character of 32 bytes has two bits that are always zero. With a tag, the lowest is one.
bool is_tagged(char last) noexcept { return value_of(last) % 2 == 1; }

}  // namespace

std::string user_tag(std::string_view user) {
  const std::string digest = sha256_hex(user);
  std::string bytes;
  for (std::size_t at = 0; at < 2 * (kUserTagSize * 6 / 8); at += 2) {
    unsigned char byte = 0;
    std::from_chars(digest.data() + at, digest.data() + at + 2, byte, 16);
    bytes += static_cast<char>(byte);
  }
  return encode_base64(bytes);
}

std::string new_session_id(std::string_view tag) {
  std::string id = random_token(kBytes);
  if (!tag.empty()) {
    id.replace(0, tag.size(), tag);
    id.back() = kAlphabet[value_of(id.back()) | 1U];
  }
  return id;
}

bool is_session_id(std::string_view text) noexcept {
  if (text.size() != kCharacters) return false;
  unsigned all = 0;  // like character_class::all_of(): without a branch for each character
  for (const char character : text) all |= value_of(character);
  return all < kForeign;
}

std::string_view tag_of(std::string_view id) noexcept {
  return id.size() == kCharacters && is_tagged(id.back()) ? id.substr(0, kUserTagSize) : std::string_view();
}

bool in_one_slot(std::string_view one, std::string_view other) noexcept {
  return !tag_of(one).empty() && tag_of(one) == tag_of(other);
}

}  // namespace pronghorn::worker
