#include "worker/state/keys/key.h"

#include <algorithm>
#include <array>

#include "worker/state/keys/digest.h"

namespace pronghorn::worker {
namespace {

constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (const char byte : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~/:@")) {
    plain[static_cast<unsigned char>(byte)] = true;
  }
  return plain;
}();

bool is_plain(char byte) noexcept { return kPlain[static_cast<unsigned char>(byte)]; }

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
