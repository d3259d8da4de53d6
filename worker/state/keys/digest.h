// Digests of whole texts, in hexadecimal.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace pronghorn::worker {

// 40 and 64 lower-case hex digits. Throw std::runtime_error if OpenSSL does not provide the algorithm.
[[nodiscard]] std::string sha1_hex(std::string_view bytes);
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

// Two lower-case hex digits for each byte.
[[nodiscard]] std::string to_hex(std::span<const unsigned char> bytes);

[[noreturn]] void throw_digest_failed();

}  // namespace pronghorn::worker
