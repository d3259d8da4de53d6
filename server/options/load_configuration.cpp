#include "server/options/load_configuration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

#include "server/options/config_file.h"
#include "server/options/environment.h"
#include "server/options/options.h"
#include "server/options/values/suggest.h"
#include "server/options/values/values.h"

namespace pronghorn::server {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefaultFile = "pronghorn.toml";

// One value on its way into the configuration.
struct Assignment {
  const Option* option;
  std::vector<std::string> values;
  std::string source;  // for `check`
  std::string place;   // for messages
};

void apply(const Assignment& given, Effective& effective) {
  try {
    for (const std::string& value : given.values) {
      const bool has_control =
          std::any_of(value.begin(), value.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
      if (has_control) throw BadValue("the value contains a control character");
    }
    if (!given.option->is_list && given.values.size() != 1) throw BadValue("the option takes one value, not a list");
    given.option->set(effective.config, given.values);
  } catch (const BadValue& error) {
    throw UsageError(fmt::format("{}: {}", given.place, error.what()));
  }
  effective.sources[given.option->name] = given.source;
}

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t comma = 0; comma != std::string::npos; begin = comma + 1) {
    comma = text.find(',', begin);
    std::string part = text.substr(begin, comma == std::string::npos ? comma : comma - begin);
    part.erase(0, std::min(part.find_first_not_of(' '), part.size()));
    part.erase(part.find_last_not_of(' ') + 1);
    parts.push_back(std::move(part));
  }
  return parts;
}

std::string address_of_port(const std::string& port) {
  const std::string address = "0.0.0.0:" + port;
  try {
    check_address(address);
  } catch (const BadValue&) {
    throw UsageError(fmt::format("PORT: {} is not a port; use 0 to 65535", in_quotes(port)));
  }
  return address;
}

// PORT, REDIS_URL, WEB_CONCURRENCY: platforms set them, so an empty one counts as absent.
std::optional<Assignment> from_weak_variable(const Option& option, const Environment& environment) {
  const std::string name(option.weak_variable);
  std::string value = name.empty() ? "" : lookup(environment, name);
  if (value.empty()) return std::nullopt;
  if (name == "PORT") value = address_of_port(value);
  return Assignment{&option, {value}, name, name};
}

std::optional<Assignment> from_variable(const Option& option, const Environment& environment) {
  const std::string name = option.variable();
  const auto found = environment.find(name);
  if (found == environment.end() || is_service_link(name, found->second)) return std::nullopt;
  auto values = option.is_list ? split_at_commas(found->second) : std::vector<std::string>{found->second};
  return Assignment{&option, std::move(values), name, name};
}

std::optional<Assignment> from_command_line(const Option& option, const std::vector<GivenOption>& given) {
  const auto found =
      std::find_if(given.begin(), given.end(), [&](const GivenOption& g) { return g.name == option.name; });
  if (found == given.end()) return std::nullopt;
  return Assignment{&option, found->values, "command line", option.flag()};
}

std::string config_path(const ConfigInputs& inputs) {
  if (!inputs.config_file.empty()) return inputs.config_file;
  if (std::string path = lookup(inputs.machine.environment, kConfigVariable); !path.empty()) return path;
  std::error_code ignored;
  return fs::exists(kDefaultFile, ignored) ? kDefaultFile : "";
}

using Wanted = std::function<bool(const std::string& option)>;

[[noreturn]] void refuse_key(const FileValue& value, const std::string& source) {
  if (!value.is_table) {
    throw UsageError(
        fmt::format("{}: unknown key {}{}", source, in_quotes(value.key), did_you_mean(value.key, option_names())));
  }
  const bool means_app = !closest(value.key, {"app", "application"}).empty();
  throw UsageError(fmt::format("{}: unknown table {}; {}", source, in_quotes(value.key),
                               means_app ? "did you mean [app]?"
                                         : "options are keys at the top level, and the only table is [app], for the "
                                           "application's settings"));
}

void apply_file(Effective& effective, const Wanted& wanted, bool strict) {
  if (effective.file.empty()) return;
  ConfigFile file = read_config_file(effective.file);
  effective.file_is_blank = file.is_blank;
  for (const FileValue& value : file.values) {
    const std::string source = fmt::format("{}:{}", effective.file, value.line);
    const Option* option = find_option(value.key);
    if (option == nullptr && strict) refuse_key(value, source);
    if (option == nullptr || !wanted(option->name)) continue;
    const std::string place = fmt::format("{}: {}", source, value.key);
    if (!value.problem.empty()) throw UsageError(fmt::format("{}: {}", place, value.problem));
    apply({option, value.values, source, place}, effective);
  }
  for (const auto& [key, value] : file.app_settings) effective.app_sources[key] = effective.file;
  effective.config.app_settings = std::move(file.app_settings);
}

void apply_app_variables(Effective& effective, const Environment& environment) {
  for (AppVariable& variable : app_variables(environment)) {
    effective.app_sources[variable.key] = variable.name;
    effective.config.app_settings[variable.key] = std::move(variable.value);
  }
}

// Weakest first, so that the strongest remains. Overridden values are checked too, except the variables that a platform
// sets: the user cannot always correct those.
Effective read_layers(const ConfigInputs& inputs, const Wanted& wanted, bool strict, bool with_file = true) {
  const Environment& environment = inputs.machine.environment;
  Effective effective;
  if (with_file) effective.file = config_path(inputs);
  effective.config.min_workers = effective.config.max_workers = 0;  // auto
  if (strict) refuse_unknown_variables(environment);
  apply_file(effective, wanted, strict);
  for (const Option& option : options()) {
    if (!wanted(option.name)) continue;
    const auto variable = from_variable(option, environment);
    const auto given = from_command_line(option, inputs.command_line);
    const auto weak = variable || given ? std::nullopt : from_weak_variable(option, environment);
    for (const auto& assignment : {weak, variable, given}) {
      if (assignment) apply(*assignment, effective);
    }
    effective.sources.try_emplace(option.name, "default");
  }
  if (strict) apply_app_variables(effective, environment);
  return effective;
}

std::string absolute(const std::string& path) { return fs::absolute(path).lexically_normal().string(); }

// Letters, digits and . _ - of the application's file name, without ".so".
std::string default_name(const ConfigInputs& inputs) {
  std::string name = fs::path(inputs.app.empty() ? inputs.program : inputs.app).stem().string().substr(0, 64);
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '_') c = '-';
  }
  return name.empty() ? "app" : name;
}

void check_socket_path(std::string_view what, const std::string& path) {
  if (path.size() <= kMaxSocketPath) return;
  throw UsageError(
      fmt::format("{}: the socket {} would have a path of {} bytes, and a Unix socket takes at most {}; "
                  "use a shorter directory",
                  what, path, path.size(), kMaxSocketPath));
}

void fill_directories(const ConfigInputs& inputs, Effective& effective) {
  Config& config = effective.config;
  if (is_default(effective, "runtime_dir")) config.runtime_dir = default_runtime_dir(inputs.machine);
  config.runtime_dir = absolute(config.runtime_dir);  // the embedded Redis runs in another directory
  if (is_default(effective, "data_dir")) config.data_dir = default_data_dir(inputs.machine);
  config.data_dir = absolute(config.data_dir);
  if (config.control.empty()) config.control = control_path(config);
  check_socket_path(is_default(effective, "control") ? "runtime_dir" : "control", config.control);
}

// Browsers reject a cookie whose name has a prefix that its attributes do not satisfy (RFC 6265bis section 4.1.3). They
// compare the prefix without case.
void check_session_cookie(const Effective& effective) {
  const Config& config = effective.config;
  constexpr std::string_view kHostPrefix = "__host-";
  std::string prefix = config.session_cookie.substr(0, kHostPrefix.size());
  for (char& c : prefix) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (prefix == kHostPrefix && !config.session_domain.empty()) {
    throw UsageError(
        fmt::format("{}: session_domain: browsers reject a cookie named {} that has a domain; turn session_domain off, "
                    "or give session_cookie a name without __Host-",
                    effective.sources.at("session_domain"), config.session_cookie));
  }
}

// https without a certificate, a certificate without https: both are mistakes, and one is half of the other.
void check_tls(const Effective& effective) {
  const Config& config = effective.config;
  const auto refuse = [&effective](const char* option, std::string_view why) {
    throw UsageError(fmt::format("{}: {}: {}", effective.sources.at(option), option, why));
  };
  const auto https = std::ranges::find_if(config.listen, is_https);
  const bool has_https = https != config.listen.end();
  if (has_https && config.tls_certificate.empty()) {
    refuse("listen", fmt::format("{} needs a certificate; name one with --tls-certificate, or make one with "
                                 "\"pronghorn certificate --self-signed\"",
                                 *https));
  }
  if (!has_https && !config.tls_certificate.empty()) {
    refuse("tls_certificate", "no address of listen begins with https://, such as --listen https://:443");
  }
  if (config.tls_certificate.empty() && !config.tls_key.empty()) {
    refuse("tls_key", "there is no certificate for it; name one with --tls-certificate");
  }
  if (config.tls_key.size() > config.tls_certificate.size()) {
    refuse("tls_key",
           fmt::format("there are {} keys for {}; give each certificate one, in the same order", config.tls_key.size(),
                       config.tls_certificate.size() == 1
                           ? "1 certificate"
                           : fmt::format("{} certificates", config.tls_certificate.size())));
  }
  if (config.tls_client_certificates != "off" && config.tls_client_ca.empty()) {
    refuse("tls_client_certificates", "nobody could sign them; name the authorities with --tls-client-ca");
  }
  if (!has_https && config.tls_client_certificates != "off") {
    refuse("tls_client_certificates", "no address of listen begins with https://");
  }
  // Behind a proxy that ends TLS the target is the same host, and trusted_proxies say whether a request was plain.
  if (config.redirect_http && !has_https && config.trusted_proxies.empty()) {
    refuse("redirect_http", "no address of listen begins with https://, so there is nothing to redirect to");
  }
}

// Each of the server's own endpoints needs a path of its own.
void check_endpoints(const Effective& effective) {
  const Config& config = effective.config;
  const std::vector<std::pair<std::string, std::string>> paths = {{"health_path", config.health_path},
                                                                  {"ready_path", config.ready_path},
                                                                  {"status_path", config.status_path},
                                                                  {"metrics_path", config.metrics_path}};
  for (const auto& [name, path] : paths) {
    if (path.empty() || is_default(effective, name)) continue;
    const auto other =
        std::ranges::find_if(paths, [&](const auto& each) { return each.first != name && each.second == path; });
    if (other == paths.end()) continue;
    throw UsageError(fmt::format("{}: {}: {} is {} as well; choose another path", effective.sources.at(name), name,
                                 path, other->first));
  }
}

// Each Unix socket needs a path of its own. Without this, the second of our own sockets would find the first one and
// take it for that of another server.
void check_socket_paths(const Effective& effective) {
  const Config& config = effective.config;
  constexpr std::string_view kUnix = "unix:";
  std::vector<std::pair<std::string, std::string>> sockets;  // path, option
  const auto add = [&](const std::string& option, const std::string& path) {
    const std::string full = absolute(path);
    const auto other = std::ranges::find(sockets, full, &std::pair<std::string, std::string>::first);
    if (other != sockets.end()) {
      const std::string what = other->second == "redis"  ? "the socket of the embedded Redis"
                               : other->second == option ? "given twice"
                                                         : "the socket of " + other->second + " as well";
      throw UsageError(
          fmt::format("{}: {}: {} is {}; choose another path", effective.sources.at(option), option, path, what));
    }
    sockets.emplace_back(full, option);
  };
  const auto add_address = [&](const std::string& option, const std::string& address) {
    if (address.starts_with(kUnix)) add(option, address.substr(kUnix.size()));
  };
  if (config.redis == "embedded") add_address("redis", redis_address(config));
  add("control", config.control);
  for (const std::string& address : config.listen) add_address("listen", address);
  add_address("admin", config.admin);
}

// Paths become absolute: the files are read again by each reload.
void fill_redis_files(Effective& effective) {
  Config& config = effective.config;
  if (!config.redis_key.empty() && config.redis_certificate.empty()) {
    throw UsageError(effective.sources.at("redis_key") +
                     ": redis_key: a key without a certificate; set redis_certificate as well");
  }
  if (config.redis_ca != "system") config.redis_ca = absolute(config.redis_ca);
  if (!config.redis_certificate.empty()) config.redis_certificate = absolute(config.redis_certificate);
  if (!config.redis_key.empty()) config.redis_key = absolute(config.redis_key);
}

// Without the file, if that cannot be read and the first of the options is given in another way.
Effective load_few(const ConfigInputs& inputs, const std::vector<std::string>& names, std::string_view advice) {
  const auto wanted = [&names](const std::string& name) { return std::ranges::find(names, name) != names.end(); };
  const auto read = [&](bool with_file) {
    Effective effective = read_layers(inputs, wanted, false, with_file);
    fill_directories(inputs, effective);
    return effective;
  };
  try {
    return read(true);
  } catch (const UsageError& error) {
    Effective effective = read(false);  // throws what is not the fault of the file
    if (!is_default(effective, names.front())) return effective;
    throw UsageError(fmt::format("{}; or {}", error.what(), advice));
  }
}

}  // namespace

bool is_default(const Effective& effective, std::string_view option) {
  const auto found = effective.sources.find(option);
  return found == effective.sources.end() || found->second == "default";
}

Effective load_configuration(const ConfigInputs& inputs) {
  Effective effective = read_layers(inputs, [](const std::string&) { return true; }, true);
  if (inputs.refuses_blank_file && effective.file_is_blank) {
    throw UsageError(effective.file +
                     ": the file has become empty (an editor may be about to write it again); leave a comment in it "
                     "if all defaults are meant");
  }
  Config& config = effective.config;
  fill_directories(inputs, effective);
  if (config.redis == "embedded") check_socket_path("runtime_dir", redis_address(config).substr(5));
  if (is_default(effective, "drain_delay")) config.drain_delay = default_drain_delay(inputs.machine);
  config.name_is_default = is_default(effective, "name");
  if (config.name_is_default) config.name = default_name(inputs);
  if (config.listen.empty()) throw UsageError(effective.sources["listen"] + ": listen: at least one address is needed");
  if (std::ranges::count(config.listen, config.admin) > 0 && !config.admin.ends_with(":0")) {
    throw UsageError(fmt::format("{}: admin: {} is an address of listen as well; choose another port",
                                 effective.sources["admin"], config.admin));
  }
  check_socket_paths(effective);
  check_endpoints(effective);
  check_session_cookie(effective);
  check_tls(effective);
  for (std::string& path : config.tls_certificate) path = absolute(path);
  for (std::string& path : config.tls_key) path = absolute(path);
  if (!config.tls_client_ca.empty()) config.tls_client_ca = absolute(config.tls_client_ca);
  fill_redis_files(effective);
  if (config.min_workers == 0) {
    config.min_workers = config.max_workers = inputs.machine.cores;
    effective.sources["workers"] += " (auto)";
  }
  if (!inputs.app.empty()) config.app = fs::absolute(inputs.app).string();
  return effective;
}

Effective load_control_configuration(const ConfigInputs& inputs) {
  return load_few(inputs, {"control", "runtime_dir"}, "name the server's socket with --control");
}

Effective load_data_configuration(const ConfigInputs& inputs) {
  return load_few(inputs, {"data_dir", "runtime_dir"}, "name the directory with --data-dir");
}

}  // namespace pronghorn::server
