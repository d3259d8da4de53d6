// The commands that operate a running server, or read its crash reports.
#include <fmt/format.h>

#include <algorithm>

#include "common/ipc/quarantine_table.h"
#include "common/text/json_text.h"
#include "server/commands.h"
#include "server/commands/control_client.h"
#include "server/commands/crashes.h"
#include "server/commands/drill/drill.h"
#include "server/commands/jobs.h"
#include "server/commands/status/list_views.h"
#include "server/commands/status/status_view.h"
#include "server/commands/status/top.h"
#include "server/commands/upgrade.h"
#include "server/options/load_configuration.h"
#include "server/options/options.h"
#include "server/options/values/values.h"

namespace pronghorn::server {
namespace {

// The command's argument, if any, is not an application.
ConfigInputs inputs_without_app(const Invocation& invocation) {
  ConfigInputs inputs = inputs_of(invocation);
  inputs.app.clear();
  return inputs;
}

// Of the running server.
std::string control_socket(const Invocation& invocation) {
  return load_control_configuration(inputs_without_app(invocation)).config.control;
}

// The server's own message, or `otherwise` if it sent none.
void print_answer(const nlohmann::json& answer, std::string_view otherwise) {
  const auto message = answer.find("message");
  const bool has_message = message != answer.end() && message->is_string();
  print(printable(has_message ? message->get<std::string>() : std::string(otherwise)) + '\n');
}

// The value of --canary in milliseconds, by the rules of the option; empty if it was not given.
std::string canary_of(const ParsedCommand& parsed) {
  const auto given = parsed.value("--canary");
  if (!given) return {};
  Config config;
  try {
    find_option("canary")->set(config, {*given});
  } catch (const BadValue& error) {
    throw UsageError(fmt::format("--canary: {}", error.what()));
  }
  return std::to_string(config.canary.count());
}

int roll_out(const Invocation& invocation, ControlRequest request, std::string_view begun) {
  request.wait = invocation.parsed.has("--wait");
  const std::string socket = control_socket(invocation);
  // A server that hangs is reported within the usual limit. One that answers limits the rollout itself: boot_timeout
  // for the check of the application and for each worker.
  (void)ask_status(socket);
  print_answer(ask_server(socket, request, std::nullopt), begun);
  return 0;
}

}  // namespace

int status(const Invocation& invocation) {
  const nlohmann::json status = ask_status(control_socket(invocation));
  print(invocation.parsed.has("--json") ? dump_json(status, 2) + '\n' : status_table(status));
  return is_degraded(status) ? 1 : 0;
}

int top(const Invocation& invocation) {
  run_top(control_socket(invocation));
  return 0;
}

int requests(const Invocation& invocation) {
  const nlohmann::json answer = ask_server(control_socket(invocation), {.command = "requests"});
  print(invocation.parsed.has("--json") ? dump_json(answer.at("requests"), 2) + '\n' : requests_table(answer));
  return 0;
}

int log_level(const Invocation& invocation) {
  const std::string& level = invocation.parsed.argument;
  const auto levels = {"debug", "info", "warning", "error"};
  if (std::ranges::find(levels, level) == levels.end()) {
    throw UsageError(fmt::format("log-level: {} is unknown; use debug, info, warning or error", in_quotes(level)));
  }
  print_answer(ask_server(control_socket(invocation), {.command = "log-level", .argument = level}), "changed");
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
    const std::string text = parsed.value(flag).value_or(otherwise);
    try {
      if (const std::uint64_t number = parse_count(text); number >= 1 && number <= most) {
        return static_cast<std::uint32_t>(number);
      }
    } catch (const BadValue&) {
    }
    throw UsageError(fmt::format("drill: {} {}: use a number from 1 to {}", flag, in_quotes(text), most));
  };
  const DrillPlan plan{.rate = count("--rate", "1000", 100'000), .kept = count("--connections", "64", 10'000)};
  return run_drill(control_socket(invocation), {.how = parsed.argument,
                                                .plan = plan,
                                                .path = parsed.value("--path").value_or("/"),
                                                .json = parsed.has("--json")});
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
    throw UsageError("quarantine: use \"quarantine\" to list, \"quarantine release ID\" or \"quarantine release all\"");
  }
  if (parsed.object != "all" && !QuarantinedRequest::is_id(parsed.object)) {
    throw UsageError(fmt::format("quarantine release: {} is not an id; use one that \"quarantine\" lists, or \"all\"",
                                 in_quotes(parsed.object)));
  }
  print_answer(ask_server(socket, {.command = "quarantine", .argument = parsed.object}), "released");
  return 0;
}

int jobs(const Invocation& invocation) {
  const ParsedCommand& parsed = invocation.parsed;
  const JobCommand command{.action = parsed.argument,
                           .object = parsed.object,
                           .name = parsed.value("--name"),
                           .count = parsed.value("--count").value_or("50")};
  const nlohmann::json answer =
      ask_server(control_socket(invocation), {.command = "jobs", .argument = job_request(command)});
  print(parsed.has("--json") ? dump_json(answer.at("answer"), 2) + '\n' : jobs_view(command, answer));
  return 0;
}

int rollback(const Invocation& invocation) { return roll_out(invocation, {.command = "rollback"}, "rolling back"); }

int stop(const Invocation& invocation) {
  const std::string socket = control_socket(invocation);
  if (!invocation.parsed.has("--wait")) {
    print_answer(ask_server(socket, {.command = "stop"}), "stopping");
    return 0;
  }
  const ServerExit server(socket);
  (void)ask_server(socket, {.command = "stop"});
  server.wait();
  print("stopped\n");
  return 0;
}

int upgrade(const Invocation& invocation) {
  print(printable(upgrade_server(control_socket(invocation))) + '\n');
  return 0;
}

int crashes(const Invocation& invocation) {
  const std::string data_dir = load_data_configuration(inputs_without_app(invocation)).config.data_dir;
  const bool json = invocation.parsed.has("--json");
  const std::string& name = invocation.parsed.argument;
  print(name.empty() ? list_crashes(data_dir, json) : show_crash(data_dir, name, json));
  return 0;
}

}  // namespace pronghorn::server
