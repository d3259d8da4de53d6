// What the supervisor holds of one worker process, beside the bookkeeping in Slots.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/config/config.h"
#include "common/ipc/channel.h"
#include "supervisor/launch/app_copy.h"

namespace pronghorn::supervisor {

// Runs in: supervisor. Owned by Workers from before the spawn until the process has been reaped.
struct WorkerHandle {
  int pid = 0;
  std::shared_ptr<const Config> config;  // what it was started with, which its slot's next worker need not be
  std::shared_ptr<const AppCopy> app;    // what it has loaded, for as long as its end is not explained
  std::unique_ptr<Channel> channel;
  int channel_fd = -1;            // of the channel, which owns it: for the replacement of the supervisor's program
  std::uint32_t known_slots = 0;  // slots whose listeners it inherited: 0 .. known_slots-1
  std::string failure;            // why it cannot start, in its own words
};

}  // namespace pronghorn::supervisor
