// Which request's code runs on this thread.
#pragma once

#include <cstddef>

#include "common/ipc/scoreboard.h"
#include "worker/exchange/exchange.h"

namespace pronghorn::worker {

// Log lines name this request. The worker's row of the scoreboard names it too (the journal), so that the supervisor
// can explain why a worker ended. pronghorn::detail::set_running() of pronghorn/task.h sets it.
//
// Null when no request's code runs on this thread.
[[nodiscard]] Exchange* running_exchange() noexcept;

// What the journal has room for. Longer methods and paths are truncated.
inline constexpr std::size_t kMaxRunningMethod = 20;  // bytes; routes have no longer ones
inline constexpr std::size_t kMaxRunningPath = sizeof(RunningRequest::line) - kMaxRunningMethod - 2;

// The journal of this thread from now on, which must outlive its use; null: none.
void use_journal(RunningRequest* journal) noexcept;

}  // namespace pronghorn::worker
