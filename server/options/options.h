// Every option of the server, once: its name, meaning, default, and how text becomes a field of Config.
//
// The command line, the environment, the configuration file, --help and `pronghorn check` follow from this table;
// docs/configuration.md is tested against it. See common/config/config.h for adding an option.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"

namespace pronghorn::server {

struct Option {
  std::string name;                // "drain_timeout": the key in the file
  std::string_view group;          // heading in --help
  std::string_view value_name;     // "DURATION"
  std::string_view help;           // one or two sentences
  std::string_view weak_variable;  // such as REDIS_URL: weaker than PRONGHORN_* and the command line; or empty
  bool is_list = false;            // several values; else exactly one
  std::string default_text;        // for people: "30s", "auto"

  // Puts the values into the configuration. Throws BadValue (server/options/values/values.h).
  std::function<void(Config&, const std::vector<std::string>&)> set;
  // The value in the configuration, as it would be written; Redis passwords are masked.
  std::function<std::string(const Config&)> show;

  [[nodiscard]] std::string flag() const;      // "--drain-timeout"
  [[nodiscard]] std::string variable() const;  // "PRONGHORN_DRAIN_TIMEOUT"
};

// The value_name of options that are true or false; on the command line such an option may stand without a value.
inline constexpr std::string_view kTruthName = "true|false";

// In the order of --help. Built on first use; any thread may call.
[[nodiscard]] const std::vector<Option>& options();

// By its name in the file ("drain_timeout"); nullptr if there is none.
[[nodiscard]] const Option* find_option(std::string_view name);

[[nodiscard]] std::vector<std::string> option_names();

}  // namespace pronghorn::server
