// The options that a running server cannot change.
#pragma once

#include <string>
#include <vector>

#include "common/config/config.h"

namespace pronghorn::supervisor {

// Puts into `fresh`, which is meant for a rollout, what `running` has for each option that needs a restart. Returns the
// names of those that differed.
std::vector<std::string> keep_fixed_options(Config& fresh, const Config& running);

}  // namespace pronghorn::supervisor
