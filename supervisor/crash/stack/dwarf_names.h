// Finds the names of functions for addresses. Runs in a process of its own: the files belong to the application, and
// nothing in their debug information may harm the supervisor.
#pragma once

#include <vector>

#include "supervisor/crash/stack/stack_frames.h"

namespace pronghorn::supervisor {

inline constexpr int kFramesInFd = 3;   // frames as JSON, see stack_frames.h
inline constexpr int kFramesOutFd = 4;  // the same with names; inlined calls add frames

// The internal command `symbolize`: reads frames from kFramesInFd and writes them to kFramesOutFd. Returns the exit
// status. Throws nlohmann::json::exception or std::runtime_error when the input is malformed.
int run_symbolize();

// Adds names from the debug information of each module, which may be a separate file found by its build id, or else
// from its symbol table. A module that has been replaced since it was loaded (another build id) gives no names.
[[nodiscard]] std::vector<Frame> add_names(const std::vector<Frame>& frames);

}  // namespace pronghorn::supervisor
