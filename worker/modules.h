// Which files of code are where in this process: what makes a function's name of an address later.
#pragma once

#include "common/crash_record.h"

namespace pronghorn::worker {

// Fills the table anew. Takes the dynamic linker's lock: not for a signal handler. To be called again after a library
// has been loaded.
void record_modules(ModuleTable& table) noexcept;

}  // namespace pronghorn::worker
