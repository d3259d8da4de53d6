// Embeds Pronghorn in a program with its own main().
#pragma once

#include "pronghorn/app.h"
#include "pronghorn/detail/export.h"
#include "pronghorn/plugin.h"

namespace pronghorn {

namespace detail {
// Implements run(). If `application` is null, this is the `pronghorn` program, which takes a plugin as argument.
PRONGHORN_API int run(int argc, char** argv, const PluginDescriptor* application);
}  // namespace detail

// Does what the `pronghorn` program does, with `setup` as the application: `shop serve --listen :8080`, `shop status`,
// `shop routes`. Without a command it serves.
//
// Call it from main() with main's arguments, before any thread is started: workers are new executions of the same
// program that reach the same call and never return from it. Never throws; an error is one line on standard error.
//
// Returns the exit status for main: 0 stopped as requested, 2 usage or configuration error, 3 the application cannot
// start (also if it was compiled for another API version), 1 any other error.
inline int run(int argc, char** argv, void (*setup)(App&)) {
  const PluginDescriptor application{kApiVersion, sizeof(PluginDescriptor), PRONGHORN_ABI, setup};
  return detail::run(argc, argv, &application);
}

}  // namespace pronghorn
