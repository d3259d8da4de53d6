// Exit statuses, and the exception that has its own.
#pragma once

#include <stdexcept>

namespace pronghorn::supervisor {

// The program's exit status; see docs/architecture.md.
inline constexpr int kExitStopped = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitConfiguration = 2;
inline constexpr int kExitApplication = 3;

// The user has to change the configuration; what() says what in one line. Thrown only while the server starts, caught
// in run_supervisor().
class ConfigurationError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace pronghorn::supervisor
