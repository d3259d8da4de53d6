// What the program does for the supervisor.
#pragma once

#include <functional>

#include "common/config/config.h"

namespace pronghorn::supervisor {

struct SupervisorHooks {
  // Reads the configuration again, from where it came at start; for a rollout. Throws std::runtime_error with one line
  // when it is not valid: the old one then stays.
  std::function<Config()> reload_config;
};

}  // namespace pronghorn::supervisor
