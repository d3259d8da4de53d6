// `pronghorn drill`: makes a worker of the running server fail on purpose under load, and reports the cost.
#pragma once

#include <cstdint>
#include <string>

#include "server/commands/drill/drill_load.h"

namespace pronghorn::server {

struct Drill {
  std::string how;  // "kill" (SIGKILL), "segv" (SIGSEGV) or "stall" (SIGSTOP, as if it hung)
  DrillPlan plan;
  std::string path;
  bool json = false;
};

// Blocks until one second after the worker has been replaced, and prints the result. `control` is the control socket of
// the server. Returns the exit status: 1 if there was no replacement in time. Throws UsageError if `drill` is invalid,
// ControlError if the server cannot be reached.
int run_drill(const std::string& control, const Drill& drill);

}  // namespace pronghorn::server
