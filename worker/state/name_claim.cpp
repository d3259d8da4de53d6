#include "worker/state/name_claim.h"

#include <filesystem>
#include <string>
#include <system_error>

#include "common/log.h"
#include "worker/state/keys/key.h"
#include "worker/state/redis/node/redis_call.h"
#include "worker/state/redis/redis_client.h"

namespace pronghorn::worker {
namespace {

constexpr const char* kRemembered = "2592000000";  // 30 days in ms

// As it was given, so that a link that is switched to a new release stays the same application.
std::string path_of_application(const Config& config) {
  std::error_code ignored;
  if (config.app.empty()) return std::filesystem::read_symlink("/proc/self/exe", ignored).string();
  return std::filesystem::path(config.app).lexically_normal().string();
}

}  // namespace

Task<void> claim_name(RedisClient& client, const Config& config) {
  if (!config.name_is_default || config.redis == "embedded" || !client.up()) co_return;
  const std::string key = key_prefix(config.name) + ":app";
  const std::string path = path_of_application(config);
  RedisCall call(client);
  call.send({"GETSET", key, path});
  call.send({"PEXPIRE", key, kRemembered});
  try {
    co_await call;
  } catch (const RedisUnavailable&) {  // logged by the Redis client
    co_return;
  }
  const Reply& previous = call.reply();
  if (!previous.is_string() || previous.string() == path) co_return;
  log_warning(
      "another application has used this Redis under the same default name: both share sessions and rate limits; "
      "give each its own option name",
      {{"name", config.name}, {"app", path}, {"other", previous.string()}});
}

}  // namespace pronghorn::worker
