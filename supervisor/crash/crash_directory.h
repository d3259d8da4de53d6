// The files of crash reports, in data_dir/crashes.
#pragma once

#include <expected>
#include <string>
#include <vector>

namespace pronghorn::supervisor {

inline constexpr std::size_t kKeptReports = 50;

// The directory of the reports of a server with this data_dir.
[[nodiscard]] std::string crash_directory(const std::string& data_dir);

// The names of the reports in the directory, oldest first. Empty when the directory cannot be read.
[[nodiscard]] std::vector<std::string> list_reports(const std::string& directory);

// Writes or replaces a report atomically, with mode 0640, and deletes the oldest reports above kKeptReports. Creates
// the directory, and data_dir with mode 0700. The error is one line, without the file's name.
[[nodiscard]] std::expected<void, std::string> save_report(const std::string& data_dir, const std::string& name,
                                                           const std::string& text);

}  // namespace pronghorn::supervisor
