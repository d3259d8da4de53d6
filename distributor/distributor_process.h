// The distributor: one process that accepts connections and passes them to the workers.
#pragma once

namespace pronghorn::distributor {

// What `pronghorn distributor` does: takes what the supervisor handed over (common/ipc/handover.h), distributes until
// it is told to drain, and returns the exit status: 0 drained, 1 anything else. Runs in: a process of its own, from
// main(), once.
[[nodiscard]] int run_distributor();

}  // namespace pronghorn::distributor
