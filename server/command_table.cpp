// The table of commands.
#include <algorithm>

#include "server/command_line.h"
#include "server/commands.h"

namespace pronghorn::server {

const std::vector<Command>& commands() {
  static const std::vector<Command> table{
      {.name = "serve",
       .run = serve,
       .argument = "APP.so",
       .help = "serve an application until stopped",
       .options = OptionSet::all,
       .argument_is_app = true},
      {.name = "status",
       .run = status,
       .help = "show the running server and its workers; exit status 1 when it is degraded",
       .options = OptionSet::control,
       .flags = {{"--json", "print the JSON of /status"}}},
      {.name = "top",
       .run = top,
       .help = "show the same, refreshed every second; q quits",
       .options = OptionSet::control},
      {.name = "scale",
       .run = scale,
       .argument = "N|+N|-N",
       .help = "set, raise or lower the number of workers",
       .options = OptionSet::control},
      {.name = "reload",
       .run = reload,
       .help = "replace every worker, one slot at a time, with the new configuration and application",
       .options = OptionSet::control,
       .flags = {{"--wait", "return when the rollout has ended; exit status 1 if it failed"},
                 {"--canary", "watch the first new worker for this long, instead of the time in option canary",
                  "DURATION"}}},
      {.name = "rollback",
       .run = rollback,
       .help = "return to the generation before the last reload; a second rollback undoes the first",
       .options = OptionSet::control,
       .flags = {{"--wait", "return when the rollback has ended; exit status 1 if it failed"}}},
      {.name = "drill",
       .run = drill,
       .argument = "kill|segv|stall",
       .help = "make a worker of the running server fail under load, and report the cost",
       .options = OptionSet::control,
       .flags = {{"--rate", "requests per second [default: 1000]", "N"},
                 {"--connections", "kept connections; one request in ten opens its own [default: 64]", "N"},
                 {"--path", "target of the HEAD requests [default: /]", "PATH"},
                 {"--json", "print the figures as JSON"}}},
      {.name = "quarantine",
       .run = quarantine,
       .argument = "release ID|all",
       .help = "list the requests that are refused because they killed workers, or release them",
       .options = OptionSet::control,
       .argument_is_optional = true,
       .argument_has_object = true},
      {.name = "stop",
       .run = stop,
       .help = "drain and stop the running server",
       .options = OptionSet::control,
       .flags = {{"--wait", "return when the server has exited"}}},
      {.name = "upgrade",
       .run = upgrade,
       .help = "replace the program of the running server with the one on disk, and then its workers",
       .options = OptionSet::control},
      {.name = "crashes",
       .run = crashes,
       .argument = "NAME|last",
       .help = "list the reports of workers that ended unexpectedly, or show one",
       .options = OptionSet::files,
       .flags = {{"--json", "print the JSON of the reports"}},
       .argument_is_optional = true},
      {.name = "check",
       .run = check,
       .argument = "APP.so",
       .help = "print the effective configuration and the source of each value; does not open the application",
       .options = OptionSet::all,
       .argument_is_app = true,
       .argument_is_optional = true},
      {.name = "routes",
       .run = routes,
       .argument = "APP.so",
       .help = "list the routes of an application",
       .options = OptionSet::all,
       .argument_is_app = true},
      {.name = "new",
       .run = new_project,
       .argument = "NAME",
       .help = "create a directory with a new application, its test and its container file"},
      {.name = "version", .run = version, .help = "print the version"},
      {.name = "help", .run = help, .argument = "COMMAND", .help = "explain a command", .argument_is_optional = true},
  };
  return table;
}

const Command* find_command(std::string_view name) {
  const auto& table = commands();
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const Command& command) { return command.name == name; });
  return found == table.end() ? nullptr : &*found;
}

}  // namespace pronghorn::server
