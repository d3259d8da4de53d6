// The scoreboard in the Prometheus text format 0.0.4: the answer of /metrics. docs/status.md lists the metrics.
//
// Counters belong to slots and outlive their workers, so rate() sees no resets.
#pragma once

#include <string>

#include "common/ipc/scoreboard.h"

namespace pronghorn {

// Any process that maps the scoreboard, any thread.
[[nodiscard]] std::string prometheus_metrics(const Scoreboard& board);

}  // namespace pronghorn
