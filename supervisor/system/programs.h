// Programs that others have installed.
#pragma once

#include <string>

namespace pronghorn::supervisor {

// Why this program cannot be run: "not found", "Permission denied", "it is not a regular file". Empty: it can. A name
// without a slash is looked up in PATH.
[[nodiscard]] std::string why_not_runnable(const std::string& program);

// Whether this program is a text that an interpreter runs.
[[nodiscard]] bool is_script(const std::string& program);

}  // namespace pronghorn::supervisor
