// Loads an application that is built as a plugin.
#pragma once

#include <stdexcept>
#include <string>

#include "pronghorn/app.h"
#include "pronghorn/plugin.h"

namespace pronghorn::worker {

// The message is one line: which file, what is wrong with it, and what to do.
class LoadError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Opens the shared object, checks its descriptor and returns its setup function. The plugin stays loaded until the
// process ends, because its handlers, threads and destructors of statics may run until then. Throws LoadError.
//
// `copy`, unless empty, is opened in place of `path`; errors still name `path`, which is the name that users know.
//
// Context: once per process, at start. Runs the plugin's static initialisers.
[[nodiscard]] auto load_plugin(const std::string& path, const std::string& copy = {}) -> void (*)(App&);

// Throws LoadError unless the application called `name` was compiled for this version of Pronghorn and for its C++ ABI.
void check_descriptor(const std::string& name, const PluginDescriptor& descriptor);

}  // namespace pronghorn::worker
