// The program: from the command line to one of its commands.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/version.h"
#include "distributor/distributor_process.h"
#include "pronghorn/plugin.h"
#include "pronghorn/run.h"
#include "server/command_line.h"
#include "server/commands.h"
#include "server/help.h"
#include "server/hidden_password.h"
#include "server/options/values/suggest.h"
#include "server/options/values/values.h"
#include "server/privileges.h"
#include "supervisor/crash/stack/dwarf_names.h"
#include "supervisor/redis/redis_guard.h"
#include "supervisor/upgrade/state_check.h"
#include "worker/run_worker.h"
#include "worker/runtime/plugin_loader.h"

namespace pronghorn::server {
namespace {

using Setup = void (*)(App&);
using Arguments = std::vector<std::string>;

int fail(int status, std::string_view message) noexcept {
  try {
    const std::string line = "pronghorn: " + printable(message) + '\n';
    std::fflush(stdout);
    std::fwrite(line.data(), 1, line.size(), stderr);
  } catch (const std::exception&) {  // out of memory: the exit status has to suffice
  }
  return status;
}

[[noreturn]] void refuse_command(const std::string& name, std::string_view program) {
  std::vector<std::string> known;
  for (const Command& command : commands()) known.emplace_back(command.name);
  std::string hint = did_you_mean(name, known);
  if (name.starts_with('-')) hint = "; the command comes first";
  if (name.ends_with(".so")) hint = fmt::format("; did you mean \"{} serve {}\"?", program, name);
  if (hint.empty()) hint = fmt::format("; see \"{} help\"", program);
  throw UsageError(fmt::format("unknown command {}{}", in_quotes(name), hint));
}

int run_command(const Command& command, const Arguments& arguments, const std::string& program, Setup setup) {
  const bool embedded = setup != nullptr;
  const ParsedCommand parsed = parse_command(command, arguments, embedded);
  if (parsed.help) {
    print(command_help(command, program, embedded));
    return 0;
  }
  return command.run({.parsed = parsed, .program = program, .setup = setup});
}

// What the supervisor starts its children with; see supervisor/supervisor.h.
bool is_internal(std::string_view name) {
  return name == "worker" || name == "distributor" || name == "check-app" || name == "check-state" || name == "redis" ||
         name == "symbolize";
}

bool is_global_flag(std::string_view name) {
  return name == "--help" || name == "-h" || name == "--version" || name == "-V";
}

int run_internal(int argc, char** argv, Setup setup) {
  const std::string_view name(argv[1]);
  drop_privileges();
  ::unsetenv(kHiddenRedisVariable);  // programs that the application starts would inherit it
  if (name == "worker") return worker::run_worker(setup);
  if (name == "distributor") return distributor::run_distributor();
  if (name == "check-app") worker::check_app(setup);
  if (name == "check-state") return supervisor::run_check_state();
  if (name == "symbolize") return supervisor::run_symbolize();
  const Arguments arguments(argv + std::min(argc, 3), argv + argc);
  const std::uint64_t parent = argc > 2 ? parse_count(argv[2]) : 0;
  if (arguments.empty() || parent == 0 || parent > INT32_MAX) throw UsageError("redis: internal command");
  supervisor::exec_guarded(static_cast<int>(parent), arguments);
}

int dispatch(int argc, char** argv, const PluginDescriptor* application) {
  const bool embedded = application != nullptr;
  const std::string program = std::filesystem::path(argc > 0 ? argv[0] : kServerName).filename().string();
  if (embedded) worker::check_descriptor(program, *application);
  const Setup setup = embedded ? application->setup : nullptr;
  const std::string name = argc > 1 ? argv[1] : "";
  if (is_internal(name)) return run_internal(argc, argv, setup);
  Arguments arguments = take_arguments(argc, argv);
  if (embedded && (argc < 2 || (name.starts_with('-') && !is_global_flag(name)))) {
    return run_command(*find_command("serve"), arguments, program,
                       setup);  // options for serving: `shop --listen :8080`
  }
  if (!arguments.empty()) arguments.erase(arguments.begin());  // the command
  if (name == "--help" || name == "-h") return run_command(*find_command("help"), arguments, program, setup);
  if (name == "--version" || name == "-V") return run_command(*find_command("version"), arguments, program, setup);
  if (argc < 2) {
    const std::string text = program_help(program, embedded);
    std::fwrite(text.data(), 1, text.size(), stderr);
    return 2;
  }
  const Command* command = find_command(name);
  if (command == nullptr) refuse_command(name, program);
  return run_command(*command, arguments, program, setup);
}

}  // namespace

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

ConfigInputs inputs_of(const Invocation& invocation) {
  return {.command_line = invocation.parsed.options,
          .config_file = invocation.parsed.config_file,
          .app = invocation.parsed.argument,
          .program = invocation.program,
          .machine = this_machine()};
}

int help(const Invocation& invocation) {
  const bool embedded = invocation.setup != nullptr;
  const std::string& name = invocation.parsed.argument;
  if (name.empty()) {
    print(program_help(invocation.program, embedded));
    return 0;
  }
  const Command* command = find_command(name);
  if (command == nullptr) refuse_command(name, invocation.program);
  print(command_help(*command, invocation.program, embedded));
  return 0;
}

int version(const Invocation&) {
  print(fmt::format("{} {}\n", kServerName, kVersion));
  return 0;
}

}  // namespace pronghorn::server

namespace pronghorn::detail {

int run(int argc, char** argv, const PluginDescriptor* application) {
  using namespace server;
  try {
    if (application != nullptr && application->setup == nullptr)
      return fail(2, "pronghorn::run: setup is null; pass the function that fills the application");
    const int status = dispatch(argc, argv, application);
    // Output that could not be written was not delivered. A buffer that a full disk refused in the middle is only
    // remembered by ferror().
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) return fail(1, "cannot write to standard output");
    return status;
  } catch (const UsageError& error) {
    return fail(2, error.what());
  } catch (const BadValue& error) {
    return fail(2, error.what());
  } catch (const ApplicationError& error) {
    return fail(3, error.what());
  } catch (const worker::LoadError& error) {
    return fail(3, error.what());
  } catch (const std::exception& error) {
    return fail(1, error.what());
  } catch (...) {
    return fail(1, "an exception of an unknown type");
  }
}

}  // namespace pronghorn::detail
