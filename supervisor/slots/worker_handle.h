// What the supervisor holds for one worker process, in addition to the bookkeeping in Slots.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/config/config.h"
#include "common/ipc/channel.h"
#include "supervisor/launch/app_copy.h"

namespace pronghorn::supervisor {

// What the watchdog saw of a worker's loop when it looked last (monotonic).
struct LoopSeen {
  std::uint64_t stamp_ms = 0;  // of the last turn
  std::uint64_t began_ns = 0;  // when the request began whose code ran last
  std::uint64_t since_ms = 0;  // neither has changed since
};

// Context: supervisor, main thread. Exists from before the spawn until the process has been reaped.
struct WorkerHandle {
  int pid = 0;
  std::shared_ptr<const Config> config;  // what it was started with; the slot's next worker may get another
  std::shared_ptr<const AppCopy> app;    // what it has loaded; kept until its exit has been explained
  std::unique_ptr<Channel> channel;
  int channel_fd = -1;            // owned by `channel`; needed to replace the supervisor's program
  std::uint32_t known_slots = 0;  // it inherited the listeners of slots 0 .. known_slots-1
  std::string failure;            // why it cannot start or was killed, in words; empty: unknown
  LoopSeen seen;
};

}  // namespace pronghorn::supervisor
