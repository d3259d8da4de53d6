// The queue in which connections go from one worker to another (worker/guardian/handoff/handoff.h).
#pragma once

#include <cstddef>

#include "common/fd.h"

namespace pronghorn::supervisor {

// The supervisor holds both ends for its whole life, so what is in the queue outlives every worker.
struct HandoffQueue {
  Fd give;
  Fd take;

  // Throws std::system_error.
  [[nodiscard]] static HandoffQueue create();

  // Closes the connections that no worker has taken. Returns how many these were.
  [[nodiscard]] std::size_t close_waiting() const noexcept;
};

}  // namespace pronghorn::supervisor
