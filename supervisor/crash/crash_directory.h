// The files of crash reports: `crashes` in data_dir.
#pragma once

#include <expected>
#include <string>
#include <vector>

namespace pronghorn::supervisor {

inline constexpr std::size_t kKeptReports = 50;

// Of the reports of a server with this data_dir.
[[nodiscard]] std::string crash_directory(const std::string& data_dir);

// Names of the reports in the directory, oldest first; none when it cannot be read.
[[nodiscard]] std::vector<std::string> list_reports(const std::string& directory);

// Writes or replaces a report, whole or not at all, with mode 0640, and removes the oldest above kKeptReports. Makes
// the directory, and data_dir with mode 0700 if it is not there. The error is one line, without the file's name.
[[nodiscard]] std::expected<void, std::string> save_report(const std::string& data_dir, const std::string& name,
                                                           const std::string& text);

}  // namespace pronghorn::supervisor
