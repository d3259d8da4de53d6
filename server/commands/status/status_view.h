// The status of the server as a table.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace pronghorn::server {

// Renders the JSON of /status (docs/status.md): the server, totals, workers, last exits, busiest routes. A member that
// is missing or of another type shows as "-". Control characters in paths of requests are escaped.
[[nodiscard]] std::string status_table(const nlohmann::json& status);

// True if the server reports that it is degraded.
[[nodiscard]] bool is_degraded(const nlohmann::json& status);

}  // namespace pronghorn::server
