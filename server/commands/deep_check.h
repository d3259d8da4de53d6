// `pronghorn check --deep`: tries what a start would need, without starting anything.
#pragma once

#include <string>

#include "common/config/config.h"

namespace pronghorn::server {

// Checks the application (in a process of its own, because loading it runs its code), the user, every address, the log
// files, the directories and the program of the embedded Redis. Prints a line for each. Returns the exit status: 0, 3 if
// the application does not load, 2 if anything else fails. Leaves nothing behind. `config_file` is where the application
// finds its settings; empty: there is none.
[[nodiscard]] int deep_check(const Config& config, const std::string& config_file);

}  // namespace pronghorn::server
