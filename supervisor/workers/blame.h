// Which request is to blame for the end of a worker.
//
// Context: supervisor.
#pragma once

#include <string>

#include "common/ipc/scoreboard.h"
#include "supervisor/system/child_process.h"
#include "supervisor/workers/slots.h"

namespace pronghorn::supervisor {

// "POST /crash": the request that killed a worker, from its row. Empty when none did: the worker executed none, was
// asked to leave, was sent a signal from outside, or failed in a thread that does offloaded work. SIGKILL never counts:
// it comes from an operator, from the kernel for want of memory, or from the watchdog for a worker that was stopped.
[[nodiscard]] std::string killing_request(const Slots::Exit& exit, const ChildExit& how, const WorkerRow& row);

}  // namespace pronghorn::supervisor
