// Session ids: 32 random bytes as 43 characters of base64url.
#pragma once

#include <string>
#include <string_view>

namespace pronghorn::worker {

// Throws std::system_error when the kernel gives no random bytes.
[[nodiscard]] std::string new_session_id();

// Whether `text` could be one. What fails here is never shown to Redis.
[[nodiscard]] bool is_session_id(std::string_view text) noexcept;

}  // namespace pronghorn::worker
