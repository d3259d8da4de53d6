// The scheme Bearer of the field Authorization (RFC 6750 section 2.1).
#pragma once

#include <optional>
#include <string_view>

#include "worker/fields/text.h"

namespace pronghorn::worker {

// The token, without the blanks around it, of which there may be any number; nullopt if the field has another scheme.
[[nodiscard]] inline std::optional<std::string_view> bearer_token(std::string_view authorization) noexcept {
  constexpr std::string_view kScheme = "Bearer ";
  if (!equal_ignoring_case(authorization.substr(0, kScheme.size()), kScheme)) return std::nullopt;
  return trim_blanks(authorization.substr(kScheme.size()));
}

}  // namespace pronghorn::worker
