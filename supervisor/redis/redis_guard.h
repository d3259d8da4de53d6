// The internal command `redis PARENT_PID PROGRAM ARGS...`: executes a program that ends with the supervisor.
#pragma once

#include <string>
#include <vector>

namespace pronghorn::supervisor {

// Executes args[0], looked up in PATH, with `args` and umask 077, in a process group of its own: Ctrl-C in the terminal
// does not reach it. The kernel sends it SIGTERM when the supervisor (parent_pid) dies; if it is a script, what it has
// started gets that as well. Exits with 127, after a line on standard error, when the program cannot be executed, and
// with 1 when the supervisor is gone already. Runs in: a child of the supervisor, from main().
[[noreturn]] void exec_guarded(int parent_pid, const std::vector<std::string>& args);

}  // namespace pronghorn::supervisor
