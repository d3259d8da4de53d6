#include "worker/state/sessions/session_id.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <system_error>

namespace pronghorn::worker {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t kBytes = 32;
constexpr std::size_t kCharacters = 43;  // 6 bits each, without padding

}  // namespace

std::string new_session_id() {
  std::array<unsigned char, kBytes> bytes;
  for (std::size_t filled = 0; filled < bytes.size();) {
    const ssize_t count = ::getrandom(bytes.data() + filled, bytes.size() - filled, 0);
    if (count > 0) {
      filled += static_cast<std::size_t>(count);
    } else if (errno != EINTR) {
      throw std::system_error(errno, std::generic_category(), "cannot create a session id");
    }
  }
  std::string id;
  id.reserve(kCharacters);
  std::uint32_t bits = 0;
  unsigned held = 0;  // how many of `bits` are not yet encoded
  for (const unsigned char byte : bytes) {
    bits = (bits << 8) | byte;
    for (held += 8; held >= 6; held -= 6) id += kAlphabet[(bits >> (held - 6)) & 63];
  }
  id += kAlphabet[(bits << (6 - held)) & 63];
  return id;
}

bool is_session_id(std::string_view text) noexcept {
  return text.size() == kCharacters && text.find_first_not_of(kAlphabet) == std::string_view::npos;
}

}  // namespace pronghorn::worker
