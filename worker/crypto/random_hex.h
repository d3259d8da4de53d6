// Random text that nobody can predict.
#pragma once

#include <string>

namespace pronghorn {

// 128 random bits as 32 lower-case hex digits. Throws std::system_error if the kernel has no random bytes.
[[nodiscard]] std::string random_hex();

}  // namespace pronghorn
