// No worker outlives its supervisor.
#pragma once

#include <chrono>

namespace pronghorn::worker {

// From now on, when the supervisor dies, this process is ended by the kernel `grace` later, even if its loop is
// blocked. (A loop that is not blocked notices the end of the channel and leaves earlier.) Returns false when the
// supervisor has gone already. Runs in: worker, from main's thread, before any other.
[[nodiscard]] bool die_with_supervisor(int supervisor_pid, std::chrono::seconds grace);

}  // namespace pronghorn::worker
