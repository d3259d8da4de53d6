// The executables and libraries mapped into this process: the supervisor uses the table to turn addresses into names.
#pragma once

#include "common/crash_record.h"

namespace pronghorn::worker {

// Fills the table anew. Call it again after a library has been loaded. Takes the dynamic linker's lock, so a
// signal handler may call it only while no other thread loads libraries.
void record_modules(ModuleTable& table) noexcept;

}  // namespace pronghorn::worker
