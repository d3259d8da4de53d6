// The parent process: binds the sockets, keeps the workers alive, and does nothing else.
//
// It never loads an application and never parses a byte from a client: it must not be able to crash.
#pragma once

#include "common/config/config.h"
#include "supervisor/launch/hooks.h"

namespace pronghorn::supervisor {

// Runs the server until it has stopped, in the calling thread, which must be the program's main thread (workers die
// with the thread that started them). Opens the log. Children are this program's own binary again, with these commands,
// which main() must know: `worker`, `check-app` (descriptors as in common/ipc/handover.h) and `redis PARENT_PID PROGRAM
// ARGS...` (supervisor/redis_guard.h).
//
// Returns the program's exit status: 0 stopped as asked, 2 something in the configuration cannot work (a port in use),
// 3 the application cannot start, 1 anything else. The reason is in the log.
//
// After SIGUSR2 this process executes its binary again with the arguments that it was started with; run_supervisor then
// finds the state of the earlier image in the variable PRONGHORN_RESUME_FD and goes on with its sockets and workers.
// `config` is not used then: the state brings the one that the workers run with. So main() calls this even when the
// configuration cannot be read.
[[nodiscard]] int run_supervisor(const Config& config, const SupervisorHooks& hooks);

}  // namespace pronghorn::supervisor
