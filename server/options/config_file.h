// The configuration file: TOML with one key per option at the top, and the application's own settings in [app].
#pragma once

#include <map>
#include <string>
#include <vector>

namespace pronghorn::server {

struct FileValue {
  std::string key;
  std::vector<std::string> values;  // a scalar as text, or the elements of an array
  bool is_table = false;            // or a list of tables
  std::string problem;              // why no option accepts it ("it is a table"); empty if none
  unsigned line = 0;
};

struct ConfigFile {
  std::vector<FileValue> values;                    // by line
  std::map<std::string, std::string> app_settings;  // scalars as text
  bool is_blank = false;                            // there is nothing in it, not even a comment
};

// Reads `path`. The caller checks whether the keys are options. Throws UsageError, one line with path and line, if the
// file cannot be read, is not TOML, or if [app] holds anything but text, numbers, booleans and dates.
[[nodiscard]] ConfigFile read_config_file(const std::string& path);

// Parses `text`; `path` is only for messages.
[[nodiscard]] ConfigFile parse_config(const std::string& text, const std::string& path);

}  // namespace pronghorn::server
