#include "worker/state/redis/redis_client.h"

#include <utility>

namespace pronghorn::worker {

RedisClient::RedisClient(uv_loop_t* loop, RedisUrl url, LinkSettings settings, std::string trial_key, WorkerRow& row)
    : url_(std::move(url)),
      settings_(std::move(settings)),
      node_(
          loop,
          [this, trial_key = std::move(trial_key)]() -> std::expected<RedisTarget, std::string> {
            return RedisTarget{url_, RedisTarget::Kind::server, trial_key};
          },
          settings_, row) {}

std::expected<RedisTarget, std::string> RedisClient::target_for(std::string_view) const {
  return RedisTarget{url_, RedisTarget::Kind::server, {}};
}

LinkSettings RedisClient::link_settings(std::string_view purpose) const {
  LinkSettings settings = settings_;
  if (!settings.client_name.empty()) settings.client_name.append(":").append(purpose);
  return settings;
}

}  // namespace pronghorn::worker
