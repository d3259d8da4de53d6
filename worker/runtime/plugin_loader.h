// Loads an application that was built as a plugin.
#pragma once

#include <stdexcept>
#include <string>

#include "pronghorn/app.h"
#include "pronghorn/plugin.h"

namespace pronghorn::worker {

// One line for a person: which file, what is wrong with it, what would be right.
class LoadError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Opens the shared object, checks its descriptor, and returns its setup function. It stays loaded until the process
// ends: handlers, destructors of statics and threads of its own may run until then. Throws LoadError.
//
// `copy`, unless empty, is what is opened in place of `path`; errors name `path` all the same, which is what people
// know.
//
// Context: once per process, at start. Runs the static initialisers of the plugin.
[[nodiscard]] auto load_plugin(const std::string& path, const std::string& copy = {}) -> void (*)(App&);

// Throws LoadError unless the application called `name` was compiled for this version of Pronghorn and for its C++ ABI.
void check_descriptor(const std::string& name, const PluginDescriptor& descriptor);

}  // namespace pronghorn::worker
