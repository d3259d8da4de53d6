// The scoreboard in the Prometheus text format 0.0.4: what /metrics answers. The metrics are listed in docs/status.md.
//
// Counters are per slot and outlive its workers, so rate() sees no resets.
#pragma once

#include <string>

#include "common/ipc/scoreboard.h"

namespace pronghorn {

// Any process that maps the scoreboard, any thread.
[[nodiscard]] std::string prometheus_metrics(const Scoreboard& board);

}  // namespace pronghorn
