// The two ways in which starting can fail that have an exit status of their own.
#pragma once

#include <stdexcept>

namespace pronghorn::supervisor {

// The program's exit status: see docs/architecture.md.
inline constexpr int kExitStopped = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitConfiguration = 2;
inline constexpr int kExitApplication = 3;

// Something that the user has to change in the configuration; what() is the one line that says what. Thrown only while
// the server starts, caught in run_supervisor.
class ConfigurationError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace pronghorn::supervisor
