// `pronghorn check --deep`: tries what a start would need, without starting anything.
#pragma once

#include <functional>
#include <string>

#include "common/config/config.h"

namespace pronghorn::server {

// Checks the application (in a process of its own, because loading it runs its code), the user, every address, the log
// files, the directories and the program of the embedded Redis, and whether a reload could read the configuration file
// `file` (empty: none). Prints a line for each. Returns the exit status: 0, 3 if the application does not load, 2 if
// anything else fails. Leaves nothing behind. `load_application` loads the application and returns an exit status; if
// that is not 0, it has written one line to standard error.
//
// As root with the option `user` or `group`, this process becomes that user for good.
[[nodiscard]] int deep_check(Config config, const std::string& file, const std::function<int()>& load_application);

}  // namespace pronghorn::server
