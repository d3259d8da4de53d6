// Names of functions for addresses, in a process of its own: the files of code are the application's, and reading their
// debug information must not be able to hurt the supervisor.
#pragma once

#include <vector>

#include "supervisor/crash/stack_frames.h"

namespace pronghorn::supervisor {

inline constexpr int kFramesInFd = 3;   // JSON, see stack_frames.h
inline constexpr int kFramesOutFd = 4;  // the same with names; as many frames or, with inlined calls, more

// What `pronghorn symbolize` does. Returns the exit status. Throws what JSON throws.
int run_symbolize();

// From the debug information of each module if there is some (also a separate file that the system has for its build
// id), else from its symbol table. A file that is not the one that was loaded any more (another build id) gives no
// names.
[[nodiscard]] std::vector<Frame> symbolize(const std::vector<Frame>& frames);

}  // namespace pronghorn::supervisor
