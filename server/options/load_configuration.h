// Loads the effective configuration: the command line wins over the environment, the environment over the file, the
// file over defaults. Remembers where each value came from.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "server/options/values/machine.h"

namespace pronghorn::server {

// An option as the command line gave it: the values of every time it was given, in order.
struct GivenOption {
  std::string name;  // "drain_timeout"
  std::vector<std::string> values;
};

// The sources of a configuration, besides the file.
struct ConfigInputs {
  std::vector<GivenOption> command_line;
  std::string
      config_file;      // --config; empty: PRONGHORN_CONFIG, else pronghorn.toml in the working directory if it exists
  std::string app;      // path of the plugin; empty for a program that is its own application
  std::string program;  // its argv[0], which then gives the default name
  Machine machine;
  bool refuses_blank_file = false;  // it was not blank when it was read before
};

struct Effective {
  Config config;
  // By option name: "command line", "PRONGHORN_WORKERS", "/etc/pronghorn.toml:12", "default".
  std::map<std::string, std::string, std::less<>> sources;
  std::map<std::string, std::string> app_sources;  // by key of [app]: the file or the variable
  std::string file;                                // the one that was read; empty: none
  bool file_is_blank = false;                      // there is a file, and nothing in it
};

// Whether nobody gave a value for `option`.
[[nodiscard]] bool is_default(const Effective& effective, std::string_view option);

// Throws UsageError for the first error: one line, "place: what is wrong; what would be valid".
[[nodiscard]] Effective load_configuration(const ConfigInputs& inputs);

// Only `control` and `runtime_dir`, for commands that talk to a running server. An error elsewhere in environment or
// file must not lock an operator out; nor, when `control` is given in another way, a file that cannot be read at all.
[[nodiscard]] Effective load_control_configuration(const ConfigInputs& inputs);
// The same for `data_dir`, for commands that read the files of a server.
[[nodiscard]] Effective load_data_configuration(const ConfigInputs& inputs);

}  // namespace pronghorn::server
