#include "server/options/warnings.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "common/config/redis_url.h"
#include "server/options/values/values.h"

namespace pronghorn::server {
namespace {

constexpr std::uint64_t kSurvivalBytes = 1152;  // of survival_memory for each connection: see Ledger
constexpr std::uint64_t kOwnDescriptors = 64;   // of a worker besides its connections: listeners, logs, Redis, the loop

bool is_secret(std::string_view key) {
  std::string name(key);
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  constexpr std::array<std::string_view, 10> kParts{"secret", "password", "passwd",  "passphrase", "passcode",
                                                    "token",  "apikey",   "api_key", "credential", "private"};
  constexpr std::array<std::string_view, 8> kEnds{"pass", "pwd", "_key", "_auth", "_pin", "salt", "pepper", "dsn"};
  return name == "key" || name == "auth" || name == "pin" ||
         std::ranges::any_of(kParts, [&name](std::string_view part) { return name.find(part) != std::string::npos; }) ||
         std::ranges::any_of(kEnds, [&name](std::string_view end) { return name.ends_with(end); });
}

bool has_password(const std::string& redis) {
  return redis.starts_with("redis") && !parse_redis_url(redis).password.empty();
}

}  // namespace

KernelLimits kernel_limits() {
  KernelLimits limits;
  std::ifstream("/proc/sys/net/core/somaxconn") >> limits.somaxconn;
  rlimit descriptors{};
  if (::getrlimit(RLIMIT_NOFILE, &descriptors) == 0) limits.descriptors = descriptors.rlim_max;
  return limits;
}

std::vector<std::string> warnings_of(const Effective& effective, const KernelLimits& limits) {
  std::vector<std::string> warnings;
  const Config& config = effective.config;
  if (limits.somaxconn != 0 && config.backlog > limits.somaxconn) {
    warnings.push_back(
        fmt::format("backlog {} is above net.core.somaxconn: accept queues have {}; raise it with sysctl",
                    config.backlog, limits.somaxconn));
  }
  const std::uint64_t connections = config.http.max_connections;
  if (limits.descriptors != 0 && connections + kOwnDescriptors > limits.descriptors) {
    warnings.push_back(fmt::format(
        "max_connections {} needs more than the {} file descriptors that a worker may have: accepting will pause below "
        "it; raise the limit (ulimit -Hn, LimitNOFILE=) or lower max_connections",
        connections, limits.descriptors));
  }
  if (config.survival_memory != 0 && connections * kSurvivalBytes > config.survival_memory) {
    warnings.push_back(fmt::format(
        "survival_memory has room for about {} connections, and max_connections is {}: the others end when their "
        "worker dies or leaves; set survival_memory to {}MiB",
        config.survival_memory / kSurvivalBytes, connections, ((connections * kSurvivalBytes) >> 20U) + 1));
  }
  if (!config.tls_client_ca.empty() && config.tls_client_certificates == "off") {
    warnings.emplace_back(
        "tls_client_ca has no effect while tls_client_certificates is off; set that to optional or required");
  }
  if (config.redirect_http && std::ranges::all_of(config.listen, [](const std::string& address) {
        return is_https(address) || address.starts_with("unix:");
      })) {
    warnings.emplace_back(
        "redirect_http has no effect: no address of listen is a plain TCP address, such as --listen :80");
  }
  const bool shared_redis = config.redis != "embedded" && config.redis != "none";
  if (shared_redis && is_default(effective, "name")) {
    warnings.push_back(fmt::format(
        "name is {}, after the application's file: another server with a file of that name on this Redis shares its "
        "sessions and limits; set name",
        config.name));
  }
  const auto redis = effective.sources.find("redis");
  if (redis != effective.sources.end() && redis->second == "command line" && has_password(config.redis)) {
    warnings.emplace_back(
        "the password of Redis was given on the command line, where other users could read it until it was hidden; use "
        "PRONGHORN_REDIS or the configuration file");
  }
  for (const char* option : {"redis_ca", "redis_certificate", "redis_key", "redis_tls_name"}) {
    if (is_default(effective, option) || config.redis.starts_with("rediss")) continue;
    warnings.push_back(
        fmt::format("{} has no effect: redis does not use TLS; write rediss in the place of redis in its URL", option));
  }
  return warnings;
}

std::string reload_warning(const std::string& file) {
  if (file.empty() || ::access(file.c_str(), R_OK) == 0) return {};
  const std::string why = std::strerror(errno);
  return fmt::format(
      "configuration file {}: the user that runs the server cannot read it ({}), so every reload will fail; let that "
      "user or its group read the file and enter its folders",
      printable(std::filesystem::absolute(file).native()), why);
}

std::string shown_setting(std::string_view key, std::string_view value) {
  if (is_secret(key) || value.find("PRIVATE KEY-----") != std::string_view::npos) return "***";
  std::string shown(value);
  const std::size_t scheme = shown.find("://");
  if (scheme == std::string::npos) return shown;
  const std::size_t begin = scheme + 3;
  const std::size_t end = shown.find_first_of("/?#", begin);
  const std::size_t at = shown.rfind('@', end);
  const std::size_t colon = shown.find(':', begin);
  if (at != std::string::npos && at > begin && colon < at) shown.replace(colon + 1, at - colon - 1, "***");
  return shown;
}

}  // namespace pronghorn::server
