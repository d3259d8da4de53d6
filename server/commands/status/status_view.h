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

// Renders the answer of `pronghorn requests`: an array "requests" of objects as in worker/control/request_list.h,
// worker/control/socket_list.h and supervisor/control/in_flight_query.h.
[[nodiscard]] std::string requests_table(const nlohmann::json& answer);

// Renders the answer of `pronghorn quarantine`: an array "quarantine" of entries as in the status.
[[nodiscard]] std::string quarantine_table(const nlohmann::json& answer);

// What `pronghorn jobs` prints: `action` is stats (or empty), list, show, retry or drop.
[[nodiscard]] std::string jobs_view(const std::string& action, const nlohmann::json& answer);

}  // namespace pronghorn::server
