// The parent process: binds the sockets, starts the workers and keeps them running.
//
// It never loads an application and never parses a byte from a client, because nothing may crash it.
#pragma once

#include "common/config/config.h"
#include "supervisor/launch/supervisor_hooks.h"

namespace pronghorn::supervisor {

// Runs the server until it has stopped, in the calling thread. That must be the program's main thread: a worker is
// killed when the thread that started it ends. Opens the log.
//
// Returns the program's exit status, with the reason in the log: 0 stopped as requested, 2 the configuration has to
// change (a port in use), 3 the application cannot start, 1 any other error.
//
// Children run this program's own binary with internal commands that main() must know: `worker`, `distributor` and
// `check-app` (descriptors as in common/ipc/handover.h), `symbolize` (supervisor/crash/stack/dwarf_names.h), `check-state`
// (supervisor/upgrade/state_check.h) and `redis PARENT_PID PROGRAM ARGS...` (supervisor/redis/redis_guard.h).
//
// SIGUSR2 makes this process execute its binary again with the arguments that it was started with. run_supervisor then
// takes the state of the earlier image from the descriptor in PRONGHORN_RESUME_FD and continues with its sockets and
// workers. It ignores `config` in that case, because the state contains the configuration that the workers run with. So
// main() has to call this even when it cannot read the configuration.
[[nodiscard]] int run_supervisor(const Config& config, const SupervisorHooks& hooks);

}  // namespace pronghorn::supervisor
