// One worker process in the supervisor's bookkeeping (Slots).
#pragma once

#include <cstdint>

#include "common/ipc/scoreboard.h"

namespace pronghorn::supervisor {

// The last slot belongs to the admin process; the others are for workers.
inline constexpr std::uint32_t kAdminSlot = kMaxSlots - 1;
inline constexpr std::uint32_t kMaxWorkers = kMaxSlots - 1;

enum class WorkerState {
  starting,  // until its `ready`
  ready,
  draining,  // told to go; not replaced when it has gone
  dying,     // killed by the watchdog, not reaped yet; replaced once it is
};

struct WorkerEntry {
  int pid = 0;
  std::uint32_t slot = 0;
  std::uint32_t row = 0;
  std::uint32_t generation = 0;
  WorkerState state = WorkerState::starting;
  bool leaving = false;  // was told to go, whatever has become of it since: it is not replaced
  std::uint64_t started_ms = 0;
  std::uint64_t ready_ms = 0;    // 0: never was
  std::uint64_t kill_at_ms = 0;  // SIGKILL if it still lives then; 0: no limit
};

}  // namespace pronghorn::supervisor
