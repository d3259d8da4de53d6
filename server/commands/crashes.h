// `pronghorn crashes`: shows the crash reports of the supervisor (supervisor/crash/report_json.h).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace pronghorn::server {

// Lists all reports of a data_dir, newest first, as a table or a JSON array. A file that is not a report is marked.
[[nodiscard]] std::string list_crashes(const std::string& data_dir, bool json);

// Shows one report, by the name of its file (".json" may be omitted), or "last". Throws std::runtime_error if there is
// none.
[[nodiscard]] std::string show_crash(const std::string& data_dir, const std::string& name, bool json);

// Formats a report as text. Control characters in texts of clients and the application are escaped.
[[nodiscard]] std::string crash_text(const nlohmann::json& report);

}  // namespace pronghorn::server
