// What `pronghorn requests`, `jobs` and `quarantine` print.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "server/commands/jobs.h"

namespace pronghorn::server {

// Renders the answer of `pronghorn requests`: an array "requests" of objects as in worker/control/request_list.h,
// worker/control/socket_list.h and supervisor/control/in_flight_query.h.
[[nodiscard]] std::string requests_table(const nlohmann::json& answer);

// Renders the answer of `pronghorn quarantine`: an array "quarantine" of entries as in the status.
[[nodiscard]] std::string quarantine_table(const nlohmann::json& answer);

// What `pronghorn jobs` prints.
[[nodiscard]] std::string jobs_view(const JobCommand& command, const nlohmann::json& answer);

}  // namespace pronghorn::server
