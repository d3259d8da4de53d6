#include "worker/state/keys/key.h"

#include <algorithm>

#include "worker/state/keys/digest.h"

namespace pronghorn::worker {
namespace {

bool is_plain(char byte) noexcept {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
         std::string_view("-_.~/:@").find(byte) != std::string_view::npos;
}

}  // namespace

std::string escape_key(std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string escaped;
  escaped.reserve(text.size());
  for (const char byte : text) {
    if (is_plain(byte)) {
      escaped += byte;
    } else {
      const auto value = static_cast<unsigned char>(byte);
      escaped.append({'%', kDigits[value >> 4], kDigits[value & 15]});
    }
  }
  return escaped;
}

std::string bounded_key(std::string_view text) {
  constexpr std::size_t kMaxPlain = 64;
  if (text.size() <= kMaxPlain && std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
  std::string key = sha256_hex(text);
  key.resize(32);
  key.insert(key.begin(), '#');
  return key;
}

}  // namespace pronghorn::worker
