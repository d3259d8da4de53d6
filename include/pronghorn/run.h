// Pronghorn inside a program of one's own.
#pragma once

#include "pronghorn/app.h"
#include "pronghorn/detail/export.h"

namespace pronghorn {

// Does what the `pronghorn` program does, with `setup` as the application: `shop serve --listen :8080`, `shop status`,
// `shop routes` … Without a command it serves. Call it from main() with main's arguments, before any thread is started:
// workers are new executions of this same program, which reach this call again and do not come back from it.
// Returns the exit status for main: 0 stopped as asked, 2 usage or configuration, 3 the application cannot start,
// 1 anything else.
PRONGHORN_API int run(int argc, char** argv, void (*setup)(App&));

}  // namespace pronghorn
