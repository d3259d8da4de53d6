// The status of the server as a table for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace pronghorn::server {

// Renders the JSON of /status (see docs/architecture.md): the server, totals, workers, last exits, busiest routes. What
// is missing or of another type shows as "-". Control characters in paths of requests are escaped.
[[nodiscard]] std::string status_table(const nlohmann::json& status);

}  // namespace pronghorn::server
