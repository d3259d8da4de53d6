// Exceptions as text for the log.
#pragma once

#include <exception>
#include <string>

namespace pronghorn::worker {

// "std::runtime_error: no such table"; for what is no std::exception, its type: "int". Never shown to a client.
[[nodiscard]] std::string describe(const std::exception_ptr& error);

}  // namespace pronghorn::worker
