// `pronghorn drill`: hurts a worker of the running server on purpose, under a load, and tells what that cost.
#pragma once

#include <cstdint>
#include <string>

#include "server/commands/drill_load.h"

namespace pronghorn::server {

struct Drill {
  std::string how;  // "kill": SIGKILL, "segv": SIGSEGV, "stall": SIGSTOP, as if it hung
  DrillPlan plan;
  std::string path;
  bool json = false;
};

// Blocks until the worker has been replaced, and a second more. `control` is the socket of the server. Prints what it
// has found. Returns the exit status: 1 when there was no replacement in time. Throws UsageError for what `drill` says
// wrong, ControlError when the server cannot be asked or reached.
int run_drill(const std::string& control, const Drill& drill);

}  // namespace pronghorn::server
