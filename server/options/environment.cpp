#include "server/options/environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "server/options/options.h"
#include "server/options/values/suggest.h"
#include "server/options/values/values.h"

namespace pronghorn::server {
namespace {

constexpr std::string_view kPrefix = "PRONGHORN_";
constexpr std::string_view kAppPrefix = "PRONGHORN_APP_";
// Not options: the file to read, and what a supervisor passes to its next image (supervisor/upgrade,
// server/hidden_password.h).
constexpr std::array<std::string_view, 3> kOwnVariables{kConfigVariable, "PRONGHORN_RESUME_FD",
                                                        "PRONGHORN_HIDDEN_REDIS"};

bool is_app_variable(std::string_view name, std::string_view value) {
  return name.starts_with(kAppPrefix) && name.size() > kAppPrefix.size() && !is_service_link(name, value);
}

}  // namespace

std::string lookup(const Environment& environment, std::string_view name) {
  const auto found = environment.find(std::string(name));
  return found == environment.end() ? "" : found->second;
}

bool is_service_link(std::string_view name, std::string_view value) {
  if (name.ends_with("_SERVICE_HOST") || name.ends_with("_SERVICE_PORT")) return true;
  if (name.find("_SERVICE_PORT_") != std::string_view::npos) return true;
  const bool is_url = value.starts_with("tcp://") || value.starts_with("udp://") || value.starts_with("sctp://");
  if (is_url && name.find("_PORT") != std::string_view::npos) return true;
  const auto port = name.find("_PORT_");
  return port != std::string_view::npos && port + 6 < name.size() &&
         std::isdigit(static_cast<unsigned char>(name[port + 6])) != 0;
}

void refuse_unknown_variables(const Environment& environment) {
  for (const auto& [name, value] : environment) {
    if (!name.starts_with(kPrefix) || is_service_link(name, value) || is_app_variable(name, value)) continue;
    if (std::find(kOwnVariables.begin(), kOwnVariables.end(), name) != kOwnVariables.end()) continue;
    const auto& table = options();
    if (std::any_of(table.begin(), table.end(), [&](const Option& option) { return option.variable() == name; }))
      continue;
    // Compared without the prefix, which all of them share and which would make everything look alike.
    const std::string meant = closest(name.substr(kPrefix.size()), option_names());
    const Option* option = find_option(meant);
    throw UsageError(fmt::format("unknown variable {}{}", name,
                                 option == nullptr ? "" : fmt::format("; did you mean \"{}\"?", option->variable())));
  }
}

std::vector<AppVariable> app_variables(const Environment& environment) {
  std::vector<AppVariable> found;
  for (const auto& [name, value] : environment) {
    if (!is_app_variable(name, value)) continue;
    std::string key = name.substr(kAppPrefix.size());
    for (char& c : key) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    found.push_back({name, std::move(key), value});
  }
  return found;
}

}  // namespace pronghorn::server
