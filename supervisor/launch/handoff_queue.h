// The queue in which connections go from one worker to another (worker/guardian/handoff.h).
#pragma once

#include "supervisor/system/fd.h"

namespace pronghorn::supervisor {

// The supervisor holds both ends for its whole life, so what is in the queue outlives every worker.
struct HandoffQueue {
  Fd give;
  Fd take;

  // Throws std::system_error.
  [[nodiscard]] static HandoffQueue create();
};

}  // namespace pronghorn::supervisor
