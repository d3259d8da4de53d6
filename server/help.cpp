#include "server/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "common/version.h"
#include "server/options/options.h"

namespace pronghorn::server {
namespace {

constexpr std::size_t kWidth = 100;
constexpr std::size_t kColumn = 32;  // where explanations begin

// Wraps `text` at kWidth and indents every line.
std::string wrapped(std::string_view text, std::size_t indent) {
  std::string out;
  std::string line;
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    if (!line.empty() && indent + line.size() + 1 + word.size() > kWidth) {
      out += std::string(indent, ' ') + line + '\n';
      line.clear();
    }
    if (!line.empty()) line += ' ';
    line += word;
  }
  return out + std::string(indent, ' ') + line + '\n';
}

// A name with its explanation next to it, or below it if the name is long.
std::string entry(const std::string& name, std::string_view help) {
  const std::string text = wrapped(help, kColumn);
  if (name.size() + 4 > kColumn) return "  " + name + '\n' + text;
  return "  " + name + text.substr(2 + name.size());
}

std::string option_entry(const Option& option) {
  std::string variables = option.variable();
  if (!option.weak_variable.empty()) variables += fmt::format(", {}", option.weak_variable);
  return entry(fmt::format("{} {}", option.flag(), option.value_name), option.help) +
         wrapped(fmt::format("[default: {}] [{}]", option.default_text, variables), kColumn);
}

constexpr std::string_view kConfigHelp =
    "Configuration file (TOML). Default: $PRONGHORN_CONFIG, else pronghorn.toml in the working directory if it "
    "exists.";

std::string all_options() {
  std::string text = "\nGeneral:\n" + entry("--config FILE", kConfigHelp) + entry("-h, --help", "Print this help.");
  std::string_view group;
  for (const Option& option : options()) {
    if (option.group != group) text += fmt::format("\n{}:\n", group = option.group);
    text += option_entry(option);
  }
  text +=
      '\n' + wrapped(
                 "Precedence: command line, environment, file, default. Durations take a unit: 500ms, 30s, 5m, 2h, 1d. "
                 "Sizes are bytes or take one: 64KiB, 1MiB, 1GiB.",
                 0);
  return text;
}

std::string some_options(OptionSet taken) {
  std::string text = entry("--config FILE", kConfigHelp);
  for (const Option& option : options()) {
    if (takes_option(taken, option.name)) text += option_entry(option);
  }
  return text + entry("-h, --help", "Print this help.");
}

std::string flag_text(const Flag& flag) {
  return flag.value.empty() ? std::string(flag.name) : fmt::format("{} {}", flag.name, flag.value);
}

std::string argument_of(const Command& command, bool embedded) {
  if (command.argument.empty() || (embedded && command.argument_is_app)) return "";
  const bool optional = command.argument_is_optional;
  return fmt::format(" {}{}{}{}", optional ? "[" : "", command.argument, command.argument_repeats ? "..." : "",
                     optional ? "]" : "");
}

}  // namespace

std::string command_help(const Command& command, std::string_view program, bool embedded) {
  std::string text = fmt::format("Usage: {} {}{}", program, command.name, argument_of(command, embedded));
  for (const Flag& flag : command.flags) text += fmt::format(" [{}]", flag_text(flag));
  if (command.options != OptionSet::none) text += " [options]";
  std::string sentence = fmt::format("{}.", command.help);
  sentence[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(sentence[0])));
  text = wrapped(text, 0) + '\n' + wrapped(sentence, 0);
  if (command.options == OptionSet::all) return text + all_options();
  text += "\nOptions:\n";
  for (const Flag& flag : command.flags) text += entry(flag_text(flag), flag.help);
  if (command.options != OptionSet::none) return text + some_options(command.options);
  return text + entry("-h, --help", "Print this help.");
}

std::string program_help(std::string_view program, bool embedded) {
  std::string text =
      fmt::format("pronghorn {}: a prefork HTTP application server\n\nUsage: {} COMMAND [arguments]\n\nCommands:\n",
                  kVersion, program);
  for (const Command& command : commands()) {
    text += entry(fmt::format("{}{}", command.name, argument_of(command, embedded)), command.help);
  }
  if (embedded) text += "\nWithout a command, it serves.\n";
  return text + fmt::format("\n\"{} COMMAND --help\" explains a command and lists its options.\n", program);
}

}  // namespace pronghorn::server
