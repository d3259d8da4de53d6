// Digests as hex text.
#pragma once

#include <string>
#include <string_view>

namespace pronghorn::worker {

// 40 and 64 lower-case hex digits. Throw std::runtime_error when OpenSSL refuses the algorithm.
[[nodiscard]] std::string sha1_hex(std::string_view bytes);
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

}  // namespace pronghorn::worker
