// The commands about an application: serve, check, routes, new, certificate.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "server/commands.h"
#include "server/commands/apart.h"
#include "server/commands/certificate_files.h"
#include "server/commands/deep_check.h"
#include "server/commands/project/project.h"
#include "server/options/load_configuration.h"
#include "server/options/options.h"
#include "server/options/values/values.h"
#include "server/options/warnings.h"
#include "supervisor/supervisor.h"
#include "worker/routing/routes_listing.h"
#include "worker/runtime/plugin_loader.h"

namespace pronghorn::server {
namespace {

// Reports a mistyped path before anything starts. The worker finds out whether the file is a plugin.
void check_app_file(const std::string& path) {
  const auto refuse = [&](const char* why) {
    throw UsageError(fmt::format("cannot read the application {}: {}", path, why));
  };
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) refuse(std::strerror(errno));
  if (!S_ISREG(facts.st_mode)) refuse("not a regular file");
  if (::access(path.c_str(), R_OK) != 0) refuse(std::strerror(errno));
}

// Loads the application, which runs its code. Returns the exit status.
int list_routes(const Config& config, void (*setup)(App&)) {
  const auto fail = [](int status, std::string_view error) {
    std::fprintf(stderr, "pronghorn: %s\n", printable(error).c_str());
    return status;
  };
  try {
    print(worker::list_routes(config, setup != nullptr ? setup : worker::load_plugin(config.app)));
  } catch (const std::exception& error) {
    std::fflush(stdout);
    return fail(3, error.what());
  }
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  return written ? 0 : fail(1, "cannot write to standard output");
}

Effective load(const ConfigInputs& inputs) {
  Effective effective = load_configuration(inputs);
  if (!inputs.app.empty()) check_app_file(inputs.app);
  return effective;
}

struct Line {
  std::string name;
  std::string value;
  std::string source;
};

std::string table(const std::vector<Line>& lines) {
  constexpr std::size_t kWidest = 44;  // a longer value moves only its own source to the right
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
  // Shared by the copies of the hook.
  const auto was_blank = std::make_shared<bool>(effective.file_is_blank);
  hooks.reload_config = [inputs, file = effective.file, was_blank] {
    ConfigInputs now = inputs;
    if (!file.empty()) now.config_file = file;  // if it is gone, that is an error; defaults would surprise
    now.refuses_blank_file = !*was_blank;
    now.machine = this_machine();  // the CPU quota may have changed
    Effective fresh = load(now);
    *was_blank = fresh.file_is_blank;
    return std::move(fresh.config);
  };
  hooks.warnings = [warnings = warnings_of(effective, kernel_limits()), file = effective.file] {
    std::vector<std::string> all = warnings;
    if (std::string warning = reload_warning(file); !warning.empty()) all.push_back(std::move(warning));
    return all;
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
    lines.push_back(
        {"app." + printable(key), printable(shown_setting(key, value)), printable(effective.app_sources.at(key))});
  }
  print(fmt::format("configuration file: {}\n\n", effective.file.empty() ? "none" : printable(effective.file)) +
        table(lines));
  for (const std::string& warning : warnings_of(effective, kernel_limits())) print("\nwarning: " + warning + '\n');
  if (!invocation.parsed.has("--deep")) return 0;
  return deep_check(effective.config, effective.file, [&] { return list_routes(effective.config, invocation.setup); });
}

int routes(const Invocation& invocation) {
  const Effective effective = load(inputs_of(invocation));
  const ApartExit exit = run_apart([&] { return list_routes(effective.config, invocation.setup); });
  if (exit.finished) return exit.status;
  throw ApplicationError(fmt::format("the application ended with {} while it was loaded", exit.how()));
}

int new_project(const Invocation& invocation) {
  const std::string& path = invocation.parsed.argument;
  make_project(path);
  print(fmt::format("created {}; {} says how to build, test and run it\n", path,
                    (std::filesystem::path(path) / "README.md").string()));
  return 0;
}

int certificate(const Invocation& invocation) {
  const ParsedCommand& parsed = invocation.parsed;
  if (!parsed.has("--self-signed")) {
    throw UsageError(
        "certificate: only certificates for development are made here: add --self-signed; for one that browsers trust "
        "use an authority such as Let's Encrypt (docs/tls.md)");
  }
  const CertificateWish wish{.names = parsed.arguments,
                             .certificate = parsed.value("--certificate").value_or("certificate.pem"),
                             .key = parsed.value("--key").value_or("certificate.key"),
                             .replace = parsed.has("--replace")};
  const std::vector<std::string> names = make_self_signed(wish);
  print(fmt::format("created {} and {}, for {}, valid for a year\n\n", wish.certificate, wish.key,
                    fmt::join(names, ", ")));
  print(
      fmt::format("  pronghorn serve APP.so --listen https://127.0.0.1:8443 --tls-certificate {} --tls-key {}\n"
                  "  curl --cacert {} https://localhost:8443/\n",
                  wish.certificate, wish.key, wish.certificate));
  return 0;
}

}  // namespace pronghorn::server
