#include "server/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <deque>

#include "server/options/options.h"
#include "server/options/values/suggest.h"
#include "server/options/values/values.h"

namespace pronghorn::server {
namespace {

// The options of server/options/options.h that a command takes.
std::vector<const Option*> options_of(const Command& command) {
  std::vector<const Option*> taken;
  for (const Option& option : options()) {
    if (takes_option(command.options, option.name)) taken.push_back(&option);
  }
  return taken;
}

std::vector<std::string> spellings(const Command& command) {
  std::vector<std::string> known{"--help"};
  if (command.options != OptionSet::none) known.emplace_back("--config");
  for (const Option* option : options_of(command)) known.push_back(option->flag());
  for (const Flag& flag : command.flags) known.emplace_back(flag.name);
  return known;
}

// An option that is true or false may stand alone: "--redirect-http" is "--redirect-http true".
std::vector<std::string> with_implied_truth(const Command& command, const std::vector<std::string>& arguments) {
  std::vector<std::string> alone;
  for (const Option* option : options_of(command)) {
    if (option->value_name == kTruthName) alone.push_back(option->flag());
  }
  std::vector<std::string> out;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    out.push_back(arguments[i]);
    if (std::ranges::find(alone, arguments[i]) == alone.end()) continue;
    // Any other word is a mistyped value, unless it cannot be one.
    const std::string next = i + 1 < arguments.size() ? arguments[i + 1] : "-";
    if (next.starts_with('-') || next.ends_with(".so")) out.emplace_back("true");
  }
  return out;
}

// CLI11 takes the argument after "--name=" for the value; here nothing follows "=" but an empty value.
std::vector<std::string> with_empty_values(const std::vector<std::string>& arguments) {
  std::vector<std::string> out;
  for (const std::string& argument : arguments) {
    if (argument.starts_with("--") && argument.size() > 3 && argument.find('=') == argument.size() - 1) {
      out.push_back(argument.substr(0, argument.size() - 1));
      out.emplace_back();
    } else {
      out.push_back(argument);
    }
  }
  return out;
}

[[noreturn]] void refuse_extra(const Command& command, const std::string& extra) {
  if (extra.size() > 1 && extra.starts_with('-')) {
    const std::string name = extra.substr(0, extra.find('='));
    std::string hint = did_you_mean(name, spellings(command));
    if (hint.empty()) hint = fmt::format("; see \"help {}\"", command.name);
    throw UsageError(fmt::format("unknown option {}{}", in_quotes(name), hint));
  }
  throw UsageError(fmt::format("{}: unexpected argument {}", command.name, in_quotes(extra)));
}

}  // namespace

bool takes_option(OptionSet options, std::string_view name) {
  if (options == OptionSet::control) return name == "control" || name == "runtime_dir";
  if (options == OptionSet::files) return name == "data_dir";
  return options == OptionSet::all;
}

bool ParsedCommand::has(std::string_view flag) const {
  return std::find(flags.begin(), flags.end(), flag) != flags.end();
}

std::optional<std::string> ParsedCommand::value(std::string_view flag) const {
  const auto found = std::ranges::find(values, flag, [](const auto& given) { return given.first; });
  return found == values.end() ? std::nullopt : std::optional(found->second);
}

ParsedCommand parse_command(const Command& command, const std::vector<std::string>& arguments, bool embedded) {
  ParsedCommand parsed;
  CLI::App cli;
  cli.set_help_flag();
  cli.allow_extras();
  cli.add_flag("-h,--help", parsed.help);
  if (command.options != OptionSet::none) cli.add_option("--config", parsed.config_file);

  // CLI11 keeps pointers to what it fills: a deque does not move its elements.
  std::deque<GivenOption> given;
  for (const Option* option : options_of(command)) {
    auto& values = given.emplace_back(GivenOption{option->name, {}}).values;
    // One value each time it is given, so that the next argument is not taken for another value.
    cli.add_option(option->flag(), values)->allow_extra_args(false)->take_all();
  }
  std::deque<bool> flags(command.flags.size());
  std::deque<std::string> values(command.flags.size());
  std::vector<const CLI::Option*> flag_options;
  for (std::size_t i = 0; i < command.flags.size(); ++i) {
    const std::string name(command.flags[i].name);
    flag_options.push_back(command.flags[i].value.empty() ? cli.add_flag(name, flags[i])
                                                          : cli.add_option(name, values[i]));
  }
  const bool takes_argument = !command.argument.empty() && !(embedded && command.argument_is_app);
  if (takes_argument && !command.argument_repeats) cli.add_option("argument", parsed.argument);
  if (takes_argument && command.argument_repeats) cli.add_option("argument", parsed.arguments);
  if (command.argument_has_object) cli.add_option("object", parsed.object);

  auto reversed = with_empty_values(with_implied_truth(command, arguments));
  std::reverse(reversed.begin(), reversed.end());
  try {
    cli.parse(std::move(reversed));
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();  // "--listen: 1 required TEXT missing"
    throw UsageError(what.substr(0, what.find(':')) + ": its value is missing");
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
  if (parsed.help) return parsed;
  if (const auto extra = cli.remaining(); !extra.empty()) refuse_extra(command, extra.front());
  for (GivenOption& option : given) {
    if (option.values.empty()) continue;
    // Scripts append arguments to override earlier ones: of a single value the last one counts.
    if (!find_option(option.name)->is_list) option.values.erase(option.values.begin(), option.values.end() - 1);
    parsed.options.push_back(std::move(option));
  }
  for (std::size_t i = 0; i < flags.size(); ++i) {
    if (flags[i]) parsed.flags.push_back(command.flags[i].name);
    const bool given_a_value = !command.flags[i].value.empty() && flag_options[i]->count() > 0;
    if (given_a_value) parsed.values.emplace_back(command.flags[i].name, values[i]);
  }
  if (takes_argument && parsed.argument.empty() && !command.argument_is_optional) {
    throw UsageError(fmt::format("{}: {} is missing; see \"help {}\"", command.name, command.argument, command.name));
  }
  return parsed;
}

}  // namespace pronghorn::server
