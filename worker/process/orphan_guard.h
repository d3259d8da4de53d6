// Ends a worker whose supervisor has died.
#pragma once

#include <chrono>

namespace pronghorn::worker {

// Makes the kernel end this process `grace` after the supervisor dies, even if the loop is blocked. (A loop that is not
// blocked notices the closed channel and exits earlier.) Returns false if the supervisor has died already. Call it in
// the main thread of a worker, before any other thread starts.
[[nodiscard]] bool die_with_supervisor(int supervisor_pid, std::chrono::seconds grace);

}  // namespace pronghorn::worker
