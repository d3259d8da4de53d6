// Which executables and libraries are mapped where in this process: the supervisor turns addresses into names with it.
#pragma once

#include "common/crash_record.h"

namespace pronghorn::worker {

// Fills the table anew. Call it again after a library has been loaded. Takes the dynamic linker's lock, so it is not
// async-signal-safe.
void record_modules(ModuleTable& table) noexcept;

}  // namespace pronghorn::worker
