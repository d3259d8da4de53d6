#include "worker/state/redis/sentinel/replica_reader.h"

#include <algorithm>
#include <utility>

namespace pronghorn::worker {

ReplicaReader::ReplicaReader(uv_loop_t* loop, RedisUrl url, const LinkSettings& settings, CounterArray& counters,
                             CallSchedule& schedule, std::function<void()> changed)
    : url_(std::move(url)),
      changed_(std::move(changed)),
      random_(std::random_device{}()),
      node_(loop, [this] { return target(); }, settings, counters, schedule, static_cast<RedisNode::Owner&>(*this)) {
  url_.kind = RedisUrl::Kind::server;
}

std::expected<RedisTarget, std::string> ReplicaReader::target() const {
  if (!chosen_) return std::unexpected("sentinels name no replica that serves");
  RedisTarget target{.url = url_, .kind = RedisTarget::Kind::standby, .trial_key = {}};
  target.url.host = chosen_->host;
  target.url.port = chosen_->port;
  return target;
}

void ReplicaReader::named(const std::vector<RedisHost>& replicas) {
  const bool is_named = chosen_ && std::ranges::find(replicas, *chosen_) != replicas.end();
  if (is_named && node_.state() != RedisState::down) return;
  std::vector<RedisHost> others = replicas;
  if (chosen_) std::erase(others, *chosen_);
  if (others.empty()) {
    if (!is_named) chosen_.reset();
    return;
  }
  chosen_ = others[random_() % others.size()];
  if (std::exchange(started_, true)) {
    node_.switch_target();
  } else {
    node_.start(nullptr);
  }
}

RedisNode* ReplicaReader::usable() {
  if (!chosen_ || !node_.up() || !node_.obstacle(0).empty()) return nullptr;
  const RedisUrl& connected = node_.target().url;
  return RedisHost{connected.host, connected.port} == *chosen_ ? &node_ : nullptr;
}

}  // namespace pronghorn::worker
