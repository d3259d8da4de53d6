// The options that only a restart can change.
#pragma once

#include <string>
#include <vector>

#include "common/config/config.h"

namespace pronghorn::supervisor {

// Copies every option that needs a restart from `running` to `fresh`, the configuration for a rollout. Returns the
// names of those that differed.
std::vector<std::string> keep_fixed_options(Config& fresh, const Config& running);

}  // namespace pronghorn::supervisor
