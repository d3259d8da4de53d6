#include "worker/state/sessions/session_id.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <span>
#include <system_error>

#include "worker/state/keys/digest.h"

namespace pronghorn::worker {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t kBytes = 32;
constexpr std::size_t kCharacters = 43;  // 6 bits each, without padding

std::string base64url(std::span<const unsigned char> bytes) {
  std::string text;
  text.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t bits = 0;
  unsigned held = 0;  // how many of `bits` are not yet encoded
  for (const unsigned char byte : bytes) {
    bits = (bits << 8) | byte;
    for (held += 8; held >= 6; held -= 6) text += kAlphabet[(bits >> (held - 6)) & 63];
  }
  if (held > 0) text += kAlphabet[(bits << (6 - held)) & 63];
  return text;
}

// The last character of 32 bytes has two bits that are always zero. With a tag, the lowest is one.
bool is_tagged(char last) noexcept { return kAlphabet.find(last) % 2 == 1; }

}  // namespace

std::string user_tag(std::string_view user) {
  const std::string digest = sha256_hex(user);
  std::array<unsigned char, kUserTagSize * 6 / 8> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::from_chars(digest.data() + 2 * i, digest.data() + 2 * i + 2, bytes[i], 16);
  }
  return base64url(bytes);
}

std::string new_session_id(std::string_view tag) {
  std::array<unsigned char, kBytes> bytes;
  for (std::size_t filled = 0; filled < bytes.size();) {
    const ssize_t count = ::getrandom(bytes.data() + filled, bytes.size() - filled, 0);
    if (count > 0) {
      filled += static_cast<std::size_t>(count);
    } else if (errno != EINTR) {
      throw std::system_error(errno, std::generic_category(), "cannot create a session id");
    }
  }
  std::string id = base64url(bytes);
  if (!tag.empty()) {
    id.replace(0, tag.size(), tag);
    id.back() = kAlphabet[kAlphabet.find(id.back()) | 1];
  }
  return id;
}

bool is_session_id(std::string_view text) noexcept {
  return text.size() == kCharacters && text.find_first_not_of(kAlphabet) == std::string_view::npos;
}

std::string_view tag_of(std::string_view id) noexcept {
  return id.size() == kCharacters && is_tagged(id.back()) ? id.substr(0, kUserTagSize) : std::string_view();
}

}  // namespace pronghorn::worker
