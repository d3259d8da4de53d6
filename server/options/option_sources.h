// The effective configuration: command line over environment over file over default, and where each value came from.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "server/options/machine.h"

namespace pronghorn::server {

// An option as the command line gave it: the values of every time it was given, in order.
struct GivenOption {
  std::string name;  // "drain_timeout"
  std::vector<std::string> values;
};

// Everything that a configuration is made of, beside the file.
struct ConfigInputs {
  std::vector<GivenOption> command_line;
  std::string
      config_file;  // --config; empty: PRONGHORN_CONFIG, else pronghorn.toml in the working directory if it is there
  std::string app;  // path of the plugin; empty for a program of one's own
  std::string program;  // its argv[0], which then gives the default name
  Machine machine;
};

struct Effective {
  Config config;
  // By option name: "command line", "PRONGHORN_WORKERS", "/etc/pronghorn.toml:12", "default".
  std::map<std::string, std::string, std::less<>> sources;
  std::string file;  // the one that was read; empty: none
};

// Throws UsageError for the first thing that is wrong: one line, "place: what; what would be right".
[[nodiscard]] Effective load_configuration(const ConfigInputs& inputs);

// Only `control`, `runtime_dir` and `data_dir`, for commands that talk to a running server or read what it has left: a
// mistake anywhere else in environment or file does not keep an operator from its server.
[[nodiscard]] Effective load_control_configuration(const ConfigInputs& inputs);

// The environment variables of options and of the program itself; see docs/configuration.md for those that are ignored.
inline constexpr const char* kConfigVariable = "PRONGHORN_CONFIG";

}  // namespace pronghorn::server
