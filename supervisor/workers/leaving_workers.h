// Workers that leave although the supervisor has not told them so: somebody has sent them SIGTERM (`kill PID`).
//
// Context: supervisor, main thread.
#pragma once

#include "common/ipc/scoreboard.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

// Whether the worker says that it drains.
[[nodiscard]] bool says_it_drains(const WorkerEntry& worker, const Scoreboard& board) noexcept;

// Retires those that do and should be ready: they accept no more, and may take as long as their last request. Call it
// several times a second. Returns whether there was one; then call Workers::advance(), which starts their replacements.
bool retire_leaving(Workers& workers, Scoreboard& board);

}  // namespace pronghorn::supervisor
