// One worker process, from the supervisor's handover to its exit.
#pragma once

#include "pronghorn/app.h"

namespace pronghorn::worker {

// What `pronghorn worker` does: takes what the supervisor handed over (common/ipc/handover.h), loads the application
// (`setup`, or the plugin of the configuration when that is null), serves until it is told to drain, and returns the
// exit status: 0 drained, 3 the application cannot start, 1 any other error. Runs in: a process of its own, from
// main(), once.
int run_worker(void (*setup)(App&));

// What `pronghorn check-app` does: loads the application and runs its setup function, without serving. Ends the process
// with status 0 or 3; the reason goes to the channel. Runs in: a process of its own, from main().
[[noreturn]] void check_app(void (*setup)(App&));

}  // namespace pronghorn::worker
