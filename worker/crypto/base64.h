// Base 64 without padding (RFC 4648), in both alphabets.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pronghorn::worker {

enum class Base64 {
  url,    // - and _
  plain,  // + and /
};

[[nodiscard]] std::string encode_base64(std::string_view bytes, Base64 alphabet = Base64::url);

// nullopt unless `text` is exactly what encode_base64() makes of some bytes: no padding, no white space, no other
// character, and no bits beyond the last byte. So no two texts have the same bytes.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text, Base64 alphabet = Base64::url);

}  // namespace pronghorn::worker
