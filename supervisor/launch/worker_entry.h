// One worker process in the bookkeeping of the supervisor (Slots).
#pragma once

#include <cstdint>

#include "common/ipc/scoreboard.h"

namespace pronghorn::supervisor {

enum class WorkerState {
  starting,  // has not sent `ready` yet
  ready,
  draining,  // was told to drain, or to stop
  dying,     // killed by the watchdog, and not reaped yet
};

struct WorkerEntry {
  int pid = 0;
  std::uint32_t slot = 0;
  std::uint32_t row = 0;
  std::uint32_t generation = 0;
  WorkerState state = WorkerState::starting;
  bool leaving = false;  // was told to drain, whatever its state is now: its exit starts no other worker
  std::uint64_t started_ms = 0;
  std::uint64_t ready_ms = 0;    // 0: was never ready
  std::uint64_t kill_at_ms = 0;  // deadline for its exit; 0: none
};

}  // namespace pronghorn::supervisor
