// `pronghorn crashes`: the reports that the supervisor has written (supervisor/crash/report_json.h), as text.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace pronghorn::server {

// All reports of a data_dir: a table, newest first, or a JSON array. A file that is no report is listed as such.
[[nodiscard]] std::string list_crashes(const std::string& data_dir, bool json);

// One report, by the name of its file (".json" may be left out), or "last". Throws std::runtime_error when there is
// none.
[[nodiscard]] std::string show_crash(const std::string& data_dir, const std::string& name, bool json);

// A report in a readable form. What it quotes, from clients and the application, is fit for a terminal.
[[nodiscard]] std::string crash_text(const nlohmann::json& report);

}  // namespace pronghorn::server
