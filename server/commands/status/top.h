// `pronghorn top`: the status table, redrawn every second on a terminal.
#pragma once

#include <string>

namespace pronghorn::server {

// Runs until q, Ctrl-C or SIGTERM, and restores the terminal. While no server answers, shows that and keeps asking.
// Throws UsageError if standard input or output is not a terminal.
void run_top(const std::string& control_path);

}  // namespace pronghorn::server
