// The internal command `redis PARENT_PID PROGRAM ARGS...`: becomes a program that ends with the supervisor.
#pragma once

#include <string>
#include <vector>

namespace pronghorn::supervisor {

// Runs in: a child of the supervisor, instead of anything else. Makes this process a group of its own (a Ctrl-C in the
// terminal is not meant for it), has the kernel send it SIGTERM when the supervisor dies, however it dies, and executes
// args[0], looked up in PATH, with `args`. When that fails: one line on standard error and exit status 127. When the
// supervisor (parent_pid) is gone already: exit status 1.
[[noreturn]] void exec_guarded(int parent_pid, const std::vector<std::string>& args);

}  // namespace pronghorn::supervisor
