// Reason phrases (RFC 9110 section 15) and the text of problem details (RFC 9457).
#pragma once

#include <string>
#include <string_view>

namespace pronghorn::worker {

// "Not Found"; the name of the class for a status without a phrase of its own.
[[nodiscard]] std::string_view status_text(int status) noexcept;

// The content of a JSON string: quotes, backslashes and control characters escaped.
void append_json_escaped(std::string& json, std::string_view text);

}  // namespace pronghorn::worker
