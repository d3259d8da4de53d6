#include "server/commands.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "server/commands/control_client.h"
#include "server/commands/crashes.h"
#include "server/commands/drill.h"
#include "server/commands/project.h"
#include "server/commands/status_view.h"
#include "server/commands/top.h"
#include "server/options/option_sources.h"
#include "server/options/options.h"
#include "server/options/values.h"
#include "supervisor/supervisor.h"
#include "worker/routing/routes_listing.h"
#include "worker/runtime/plugin_loader.h"

namespace pronghorn::server {
namespace {

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

ConfigInputs inputs_of(const Invocation& invocation) {
  return {.command_line = invocation.parsed.options,
          .config_file = invocation.parsed.config_file,
          .app = invocation.parsed.argument,
          .program = invocation.program,
          .machine = this_machine()};
}

// Whether it is a plugin, the worker finds out; a mistyped path is told before anything is started.
void check_app_file(const std::string& path) {
  const auto refuse = [&](const char* why) {
    throw UsageError(fmt::format("cannot read the application {}: {}", path, why));
  };
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) refuse(std::strerror(errno));
  if (!S_ISREG(facts.st_mode)) refuse("it is not a file");
  if (::access(path.c_str(), R_OK) != 0) refuse(std::strerror(errno));
}

Effective load(const ConfigInputs& inputs) {
  Effective effective = load_configuration(inputs);
  if (!inputs.app.empty()) check_app_file(inputs.app);
  return effective;
}

std::string control_socket(const Invocation& invocation) {
  ConfigInputs inputs = inputs_of(invocation);
  inputs.app.clear();  // the argument of a control command is no application
  return load_control_configuration(inputs).config.control;
}

// "server stopping", or whatever the server says that it has done.
void print_answer(const nlohmann::json& answer, std::string_view otherwise) {
  const auto message = answer.find("message");
  const bool told = message != answer.end() && message->is_string();
  print(printable(told ? message->get<std::string>() : std::string(otherwise)) + '\n');
}

// --canary in milliseconds; empty: not given.
std::string canary_of(const ParsedCommand& parsed) {
  const auto given = std::ranges::find(parsed.values, "--canary", [](const auto& value) { return value.first; });
  if (given == parsed.values.end()) return {};
  try {
    return std::to_string(parse_duration(given->second).count());
  } catch (const BadValue& error) {
    throw UsageError(fmt::format("--canary: {}", error.what()));
  }
}

int roll_out(const Invocation& invocation, ControlRequest request, std::string_view begun) {
  request.wait = invocation.parsed.has("--wait");
  const std::string socket = control_socket(invocation);
  // A server that hangs is told within the usual limit. One that answers bounds the time itself, with its boot_timeout
  // for the check of the application and for each worker.
  (void)ask_status(socket);
  print_answer(ask_server(socket, request, std::nullopt), begun);
  return 0;
}

struct Line {
  std::string name;
  std::string value;
  std::string source;
};

std::string table(const std::vector<Line>& lines) {
  // A long value does not push every source to the right.
  constexpr std::size_t kWidest = 44;
  std::size_t name_width = 0;
  std::size_t value_width = 0;
  for (const Line& line : lines) {
    name_width = std::max(name_width, line.name.size());
    if (line.value.size() <= kWidest) value_width = std::max(value_width, line.value.size());
  }
  std::string text;
  for (const Line& line : lines) {
    text += fmt::format("{:<{}}  {:<{}}  {}\n", line.name, name_width, line.value, value_width, line.source);
  }
  return text;
}

}  // namespace

int serve(const Invocation& invocation) {
  const ConfigInputs inputs = inputs_of(invocation);
  const Effective effective = load(inputs);
  supervisor::SupervisorHooks hooks;
  hooks.reload_config = [inputs, file = effective.file] {
    ConfigInputs now = inputs;
    if (!file.empty()) now.config_file = file;  // one that has disappeared is a mistake, not the defaults
    now.machine = this_machine();               // the CPU quota may have changed
    return load(now).config;
  };
  return supervisor::run_supervisor(effective.config, hooks);
}

int check(const Invocation& invocation) {
  const Effective effective = load(inputs_of(invocation));
  std::vector<Line> lines;
  if (!effective.config.app.empty())
    lines.push_back({"(application)", printable(effective.config.app), "command line"});
  for (const Option& option : options()) {
    lines.push_back(
        {option.name, printable(option.show(effective.config)), printable(effective.sources.at(option.name))});
  }
  for (const auto& [key, value] : effective.config.app_settings) {
    lines.push_back({"app." + printable(key), printable(value), printable(effective.file)});
  }
  print(fmt::format("configuration file: {}\n\n", effective.file.empty() ? "none" : printable(effective.file)) +
        table(lines));
  return 0;
}

int routes(const Invocation& invocation) {
  const Effective effective = load(inputs_of(invocation));
  try {
    const auto setup = invocation.setup != nullptr ? invocation.setup : worker::load_plugin(effective.config.app);
    print(worker::list_routes(effective.config, setup));
  } catch (const std::exception& error) {
    throw ApplicationError(error.what());
  }
  return 0;
}

int status(const Invocation& invocation) {
  const nlohmann::json status = ask_status(control_socket(invocation));
  const auto replace = nlohmann::json::error_handler_t::replace;
  print(invocation.parsed.has("--json") ? status.dump(2, ' ', false, replace) + '\n' : status_table(status));
  return 0;
}

int top(const Invocation& invocation) {
  run_top(control_socket(invocation));
  return 0;
}

int scale(const Invocation& invocation) {
  const std::string& wanted = invocation.parsed.argument;
  const bool relative = wanted.starts_with('+') || wanted.starts_with('-');
  std::uint64_t number = 0;
  try {
    number = parse_count(std::string_view(wanted).substr(relative ? 1 : 0));
  } catch (const BadValue&) {
  }
  if (number < 1 || number > kMaxWorkers) {
    throw UsageError(fmt::format("scale: {} is not a number of workers; use N, +N or -N with N from 1 to {}",
                                 in_quotes(wanted), kMaxWorkers));
  }
  print_answer(ask_server(control_socket(invocation), {.command = "scale", .argument = wanted}), "scaling");
  return 0;
}

int reload(const Invocation& invocation) {
  return roll_out(invocation, {.command = "reload", .argument = canary_of(invocation.parsed)}, "reloading");
}

int drill(const Invocation& invocation) {
  const ParsedCommand& parsed = invocation.parsed;
  const auto count = [&parsed](std::string_view flag, const char* otherwise, std::uint64_t most) {
    const std::string text = parsed.value(flag, otherwise);
    try {
      if (const std::uint64_t number = parse_count(text); number >= 1 && number <= most) {
        return static_cast<std::uint32_t>(number);
      }
    } catch (const BadValue&) {
    }
    throw UsageError(fmt::format("drill: {} {}: use a number from 1 to {}", flag, in_quotes(text), most));
  };
  const DrillPlan plan{.rate = count("--rate", "1000", 100'000), .kept = count("--connections", "64", 10'000)};
  return run_drill(
      control_socket(invocation),
      {.how = parsed.argument, .plan = plan, .path = parsed.value("--path", "/"), .json = parsed.has("--json")});
}

int quarantine(const Invocation& invocation) {
  const ParsedCommand& parsed = invocation.parsed;
  const std::string socket = control_socket(invocation);
  if (parsed.argument.empty()) {
    const nlohmann::json answer = ask_server(socket, {.command = "quarantine"});
    print(quarantine_table(answer));
    return 0;
  }
  if (parsed.argument != "release" || parsed.object.empty()) {
    throw UsageError(
        "quarantine: use it alone, or as \"quarantine release ID\" with an id of its list, or \"quarantine release "
        "all\"");
  }
  print_answer(ask_server(socket, {.command = "quarantine", .argument = parsed.object}), "released");
  return 0;
}
int rollback(const Invocation& invocation) { return roll_out(invocation, {.command = "rollback"}, "rolling back"); }

int stop(const Invocation& invocation) {
  print_answer(ask_server(control_socket(invocation), {.command = "stop"}), "stopping");
  return 0;
}

int crashes(const Invocation& invocation) {
  ConfigInputs inputs = inputs_of(invocation);
  inputs.app.clear();  // the argument is a report
  const std::string data_dir = load_control_configuration(inputs).config.data_dir;
  const bool json = invocation.parsed.has("--json");
  const std::string& name = invocation.parsed.argument;
  print(name.empty() ? list_crashes(data_dir, json) : show_crash(data_dir, name, json));
  return 0;
}

int new_project(const Invocation& invocation) {
  const std::string& path = invocation.parsed.argument;
  make_project(path);
  print(fmt::format("made {}: see {}/README.md for how to build, test and run it\n", path, path));
  return 0;
}

}  // namespace pronghorn::server
