// The response to a request whose file cannot be opened.
#pragma once

#include <string>

namespace pronghorn::worker {

// Whether `error`, a value of errno, says that the process or the system has run out of descriptors or memory.
[[nodiscard]] bool is_shortage(int error) noexcept;

// Throws for an open() of `path` that failed with `error`, a value of errno:
//  - HttpError 404 if there is no such file;
//  - HttpError 503 with Retry-After if is_shortage(), which is logged at most once a minute;
//  - std::system_error, which is logged and answered 500, for everything else.
// Any thread.
[[noreturn]] void throw_open_error(const std::string& path, int error);

}  // namespace pronghorn::worker
