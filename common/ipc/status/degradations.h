// What is wrong with the server, for /status and `pronghorn status`.
#pragma once

#include <string>
#include <vector>

#include "common/ipc/scoreboard.h"

namespace pronghorn {

// Why the server is degraded, one sentence per reason: slots without a worker, stuck workers, workers without their
// guardian, certificates that should have been renewed by now, the distributor, Redis, draining. A slot that starts its
// first worker is not a reason.
[[nodiscard]] std::vector<std::string> degradations(const Scoreboard& board);

}  // namespace pronghorn
