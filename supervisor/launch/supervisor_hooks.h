// What the program does for the supervisor.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/config/config.h"

namespace pronghorn::supervisor {

struct SupervisorHooks {
  // Reads the configuration again, from the same file, environment and command line as at start. Called for each
  // rollout. Throws std::runtime_error with one line when the configuration is invalid; the current one then stays.
  std::function<Config()> reload_config;
  // Warnings about the configuration at start, as the user that the server runs as; logged once, when the log is open.
  std::function<std::vector<std::string>()> warnings = {};
};

}  // namespace pronghorn::supervisor
