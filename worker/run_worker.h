// What `pronghorn worker` and `pronghorn check-app` do. The supervisor starts them; nobody else does.
#pragma once

#include "pronghorn/app.h"

namespace pronghorn::worker {

// The exit status of a worker, and of a check, whose application cannot start.
inline constexpr int kExitCannotStart = 3;

// `pronghorn worker`: takes what the supervisor handed over (common/ipc/handover.h), loads the application (`setup`, or
// the plugin of the configuration when that is null), serves until it is told to drain, and returns the exit status: 0
// drained, kExitCannotStart, 1 any other error. Runs in: a process of its own, from main(), once.
int run_worker(void (*setup)(App&));

// `pronghorn check-app`: loads the application and runs its setup function, without serving. Ends the process with
// status 0 or kExitCannotStart; the reason goes to the channel. Runs in: a process of its own, from main().
[[noreturn]] void check_app(void (*setup)(App&));

}  // namespace pronghorn::worker
