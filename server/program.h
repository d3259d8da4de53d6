// The program: from the command line to one of its commands.
#pragma once

#include "pronghorn/detail/export.h"

namespace pronghorn {
class App;
}

namespace pronghorn::server {

// What main() calls; the only entry point besides pronghorn::run. `setup` is the application of a program of one's own,
// null for the `pronghorn` program, which takes a plugin as argument. Call it on the main thread before any other is
// started.
//
// Returns the exit status: 0 done or stopped as asked, 2 usage or configuration, 3 the application cannot start, 1
// anything else. Never throws; an error is one line on standard error that begins with "pronghorn: ".
PRONGHORN_API int run_program(int argc, char** argv, void (*setup)(App&));

}  // namespace pronghorn::server
