// The server's own directories, and who may use them.
#pragma once

#include <string>

#include "supervisor/fd.h"

namespace pronghorn::supervisor {

// Makes the directory (and what is above it) with mode 0700. One that exists must be writable, and ours or
// root's unless we are root. `option` is the name of the option in the message. Throws ConfigurationError.
void make_private_directory(const std::string& path, const char* option);

// Claims a directory of ours for as long as the descriptor, or an inherited copy, is open: a file `lock` in it holds
// our pid. Throws ConfigurationError when another server has it.
[[nodiscard]] Fd lock_directory(const std::string& path, const char* option);

}  // namespace pronghorn::supervisor
