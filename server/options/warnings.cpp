#include "server/options/warnings.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>

#include "common/config/redis_url.h"

namespace pronghorn::server {
namespace {

constexpr std::uint64_t kOwnDescriptors = 64;  // of a worker besides its connections: listeners, logs, Redis, the loop

bool is_default(const Effective& effective, std::string_view option) {
  const auto found = effective.sources.find(option);
  return found == effective.sources.end() || found->second == "default";
}

bool is_secret(std::string_view key) {
  std::string name(key);
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  constexpr std::array<std::string_view, 8> kParts{"secret", "password", "passwd",     "token",
                                                   "apikey", "api_key",  "credential", "private"};
  constexpr std::array<std::string_view, 6> kEnds{"pass", "_key", "_auth", "salt", "pepper", "dsn"};
  return name == "key" || name == "auth" ||
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
  return warnings;
}

std::string shown_setting(std::string_view key, std::string_view value) {
  if (is_secret(key)) return "***";
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
