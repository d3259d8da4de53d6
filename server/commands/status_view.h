// The status of the server as a table for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace pronghorn::server {

// Renders the JSON of /status (see docs/architecture.md): the server, totals, workers, last exits, busiest routes. What
// is missing or of another type shows as "-". Control characters in paths of requests are escaped.
[[nodiscard]] std::string status_table(const nlohmann::json& status);

// The same for what `pronghorn quarantine` lists: an array "quarantine" of entries, as in the status.
[[nodiscard]] std::string quarantine_table(const nlohmann::json& answer);

}  // namespace pronghorn::server
