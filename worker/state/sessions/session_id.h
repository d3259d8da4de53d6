// Session ids: 32 random bytes as 43 characters of base64url.
#pragma once

#include <string>
#include <string_view>

namespace pronghorn::worker {

// A new random id. Throws std::system_error if the kernel provides no random bytes.
[[nodiscard]] std::string new_session_id();

// Whether `text` has the form of an id. Other text is never sent to Redis.
[[nodiscard]] bool is_session_id(std::string_view text) noexcept;

}  // namespace pronghorn::worker
