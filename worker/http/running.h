// Whose code has the loop: the request that log lines name, told in the worker's row of the scoreboard so that the
// supervisor can explain an exit. pronghorn::detail::set_running() of pronghorn/task.h changes it.
//
// Context: one per thread.
#pragma once

#include <cstddef>

#include "common/ipc/scoreboard.h"
#include "worker/http/exchange.h"

namespace pronghorn::worker {

// Null when no request's code runs.
[[nodiscard]] Exchange* running_exchange() noexcept;

// What the journal has room for; longer ones are cut.
inline constexpr std::size_t kMaxRunningMethod = 20;  // bytes; routes have no longer ones
inline constexpr std::size_t kMaxRunningPath = sizeof(RunningRequest::line) - kMaxRunningMethod - 2;

// Where this thread tells it from now on; null: nowhere. The journal outlives its use.
void use_journal(RunningRequest* journal) noexcept;

}  // namespace pronghorn::worker
