// Environment of servers whose workers crash on purpose.
#pragma once

#include "support/processes/process.h"

namespace pronghorn::test {

// Makes AddressSanitizer leave fatal signals to the worker's own handler.
inline const Environment kPlainSignals{
    {"ASAN_OPTIONS", "handle_segv=0:handle_abort=0:use_sigaltstack=0:detect_leaks=0:quarantine_size_mb=1"}};

}  // namespace pronghorn::test
