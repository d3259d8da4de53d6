// The grammar of the command line: the commands, their arguments and flags, and the parser.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/options/load_configuration.h"

namespace pronghorn::server {

struct Invocation;  // server/commands.h

// The options that a command takes.
enum class OptionSet {
  none,
  control,  // --config, --control, --runtime-dir: they find the running server
  files,    // --config, --data-dir: they find the files of a server, running or not
  all,      // --config and every option of server/options/options.h
};

struct Flag {
  std::string_view name;  // "--json"
  std::string_view help;
  std::string_view value = {};  // placeholder of its value, such as "N"; empty: the flag takes none
};

// A command is added in server/command_table.cpp and declared in server/commands.h.
struct Command {
  std::string_view name;
  int (*run)(const Invocation&);   // returns the exit status
  std::string_view argument = {};  // "APP.so", "N|+N|-N"; empty: none
  std::string_view help;           // one line, without a full stop
  OptionSet options = OptionSet::none;
  std::vector<Flag> flags = {};
  bool argument_is_app = false;  // not taken by a program that is its own application
  bool argument_is_optional = false;
  bool argument_has_object = false;  // a second word follows it: "release ID|all"
  bool argument_repeats = false;     // any number of words, in ParsedCommand::arguments
};

// Every command, in the order of the help text.
[[nodiscard]] const std::vector<Command>& commands();
// nullptr if there is none of that name.
[[nodiscard]] const Command* find_command(std::string_view name);

struct ParsedCommand {
  std::vector<GivenOption> options;
  std::string config_file;                                       // --config
  std::string argument;                                          // empty: not given
  std::vector<std::string> arguments;                            // of a command whose argument repeats
  std::string object;                                            // the word after the argument; empty: not given
  std::vector<std::string_view> flags;                           // those without a value
  std::vector<std::pair<std::string_view, std::string>> values;  // flags with their values
  bool help = false;  // --help or -h was given; everything else is then empty
  [[nodiscard]] bool has(std::string_view flag) const;
  // The flag's value; nothing if the flag was not given.
  [[nodiscard]] std::optional<std::string> value(std::string_view flag) const;
};

// Parses the arguments after the command's name. `embedded`: the program is its own application. Throws UsageError.
[[nodiscard]] ParsedCommand parse_command(const Command& command, const std::vector<std::string>& arguments,
                                          bool embedded);

// Whether a command with this set takes the option (of server/options/options.h).
[[nodiscard]] bool takes_option(OptionSet options, std::string_view name);

}  // namespace pronghorn::server
