// `pronghorn top`: the status table, redrawn each second on a terminal.
#pragma once

#include <string>

namespace pronghorn::server {

// Runs until q, Ctrl-C or TERM, and leaves the terminal as it was. While no server answers it says so and keeps asking.
// Throws UsageError when standard input or output is no terminal.
void run_top(const std::string& control_path);

}  // namespace pronghorn::server
