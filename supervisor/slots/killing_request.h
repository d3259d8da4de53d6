// Finds the request that has killed a worker.
//
// Context: supervisor.
#pragma once

#include <cstdint>
#include <string>

#include "common/ipc/scoreboard.h"
#include "supervisor/slots/slots.h"
#include "supervisor/system/child_process.h"

namespace pronghorn::supervisor {

// Returns method and path of the request that has killed the worker ("POST /crash"), from the worker's row. Empty if no
// request is to blame: the worker executed none, was told to drain, got a signal from another process, or failed in a
// thread of the offload pool. SIGKILL is never a request's fault: it comes from an operator, from the kernel when
// memory runs out, or from the watchdog when the worker is stopped.
[[nodiscard]] std::string killing_request(const Slots::Exit& exit, const ChildExit& how, const WorkerRow& row);

// The id of the job in what killing_request() returns ("JOB email.0123…"); empty if it is a request, whose path begins
// with '/'.
[[nodiscard]] std::string job_of(const std::string& killing_request);

// A digest of the address of the client that sent it. 0: the worker could not tell, such as after exit().
[[nodiscard]] std::uint64_t killing_client(const WorkerRow& row) noexcept;

}  // namespace pronghorn::supervisor
