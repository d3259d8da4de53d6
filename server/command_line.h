// The commands of the program, and their arguments.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/options/option_sources.h"

namespace pronghorn::server {

enum class OptionSet {
  none,
  control,  // --config, --control, --runtime-dir: where the running server is
  files,    // --config, --data-dir: what a server has left there, whether it runs or not
  all,      // --config and every option of server/options/options.h
};

struct Flag {
  std::string_view name;  // "--json"
  std::string_view help;
  std::string_view value = {};  // what it is given, such as "N"; empty: nothing
};

struct Command {
  std::string_view name;
  std::string_view argument = {};  // "APP.so", "N|+N|-N"; empty: none
  std::string_view help;           // one line
  OptionSet options = OptionSet::none;
  std::vector<Flag> flags = {};
  bool argument_is_app = false;  // a program with its own application takes none
  bool argument_is_optional = false;
  bool argument_has_object = false;  // a second word follows it: "release ID|all"
};

// What people may call, in the order of the help text.
[[nodiscard]] const std::vector<Command>& commands();
[[nodiscard]] const Command* find_command(std::string_view name);

struct ParsedCommand {
  std::vector<GivenOption> options;
  std::string config_file;  // --config
  std::string argument;     // empty: not given
  std::string object;       // the word after it; empty: not given
  std::vector<std::string_view> flags;
  std::vector<std::pair<std::string_view, std::string>> values;  // of the flags that have one
  bool help = false;  // --help or -h was among the arguments; nothing else is then filled
  [[nodiscard]] bool has(std::string_view flag) const;
  [[nodiscard]] std::string value(std::string_view flag, std::string otherwise) const;
};

// Parses what follows the name of the command. `embedded`: the program has its own application. Throws UsageError.
[[nodiscard]] ParsedCommand parse_command(const Command& command, const std::vector<std::string>& arguments,
                                          bool embedded);

// Whether a command with these takes the option of server/options/options.h.
[[nodiscard]] bool takes_option(OptionSet options, std::string_view name);

// The whole help text of a command, or of the program; lines of at most 100 columns. `program` is how it is called.
[[nodiscard]] std::string command_help(const Command& command, std::string_view program, bool embedded);
[[nodiscard]] std::string program_help(std::string_view program, bool embedded);

}  // namespace pronghorn::server
