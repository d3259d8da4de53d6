// The worker's part in who is in which topic, over all workers and machines.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "common/config/config.h"
#include "pronghorn/presence.h"
#include "worker/state/events/messages/topic_names.h"
#include "worker/state/presence/presence_topic.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/subscriptions/subscriber.h"

namespace pronghorn::detail {
// What the public headers know of worker::PresenceService.
class PresenceService {
 protected:
  ~PresenceService() = default;
};
}  // namespace pronghorn::detail

namespace pronghorn::worker {

struct PresenceTimes {
  std::chrono::milliseconds lease = std::chrono::seconds(60);    // a member is present so long after its last renewal
  std::chrono::milliseconds renewal = std::chrono::seconds(20);  // at most between two of them
};

// Entries in Redis belong to the ids of members, not to workers. So a member that moves to another worker is joined
// there without anybody noticing, if that happens before its lease ends.
//
// After the connection to Redis was interrupted, members are renewed soon: Redis may have lost them.
//
// Context:   loop thread; one per worker.
class PresenceService final : public pronghorn::detail::PresenceService, private Subscriber::Listener {
 public:
  static constexpr std::size_t kMaxId = 64;  // bytes

  // With --redis none, `client` and `subscriber` are null: join(), leave() and release() do nothing, and nothing else may
  // be called.
  PresenceService(RedisClient* client, Subscriber* subscriber, const Config& config, PresenceTimes times = {});
  PresenceService(const PresenceService&) = delete;
  PresenceService& operator=(const PresenceService&) = delete;
  ~PresenceService() = default;

  // The member is here, with at most kMaxPresenceData bytes of any data. All members of one turn of the loop go to Redis
  // together; while Redis is away they wait. Throws std::invalid_argument for an invalid topic, an id that does not have
  // 1 to kMaxId bytes without control characters, or too much data.
  void join(std::string_view topic, std::string_view id, std::string_view data = {});
  // The member is gone. Throws the same.
  void leave(std::string_view topic, std::string_view id);
  // The member moves to another worker: this one renews it no more.
  void release(std::string_view topic, std::string_view id);
  // Forgets all members, without a call to Redis, and takes no more. Their leases go on.
  void close() noexcept;

  // See Presence. `topic` must be valid.
  [[nodiscard]] Task<std::uint64_t> count(std::string topic, CallOptions options = {});
  [[nodiscard]] Task<PresenceList> list(std::string topic, std::size_t limit, CallOptions options = {});
  [[nodiscard]] Task<PresencePage> page(std::string topic, std::string cursor, CallOptions options = {});

  // For PresenceTopic.
  [[nodiscard]] RedisClient& client() noexcept { return *client_; }
  [[nodiscard]] const PresenceTimes& times() const noexcept { return times_; }
  [[nodiscard]] PresenceKeys keys_of(std::string_view topic) const;
  [[nodiscard]] std::chrono::milliseconds next_renewal();
  void remove(PresenceTopic& topic) noexcept;
  // What Redis has under the key is something else: logged once.
  void tell_broken(std::string_view key, std::string_view error);

 private:
  // Subscriber::Listener, of a channel in which nobody publishes
  void message(std::string_view, const Reply&) override {}
  void subscribed(std::string_view name) override;
  void interrupted(std::string_view name) override;

  [[nodiscard]] PresenceTopic& topic(std::string_view name);
  [[nodiscard]] std::chrono::milliseconds random_between(std::chrono::milliseconds from, std::chrono::milliseconds to);

  RedisClient* client_;
  Subscriber* subscriber_;
  PresenceTimes times_;
  std::string prefix_;
  TopicNames names_;
  std::minstd_rand random_{std::random_device{}()};
  bool closed_ = false;
  bool interrupted_ = false;
  bool told_broken_ = false;
  std::map<std::string, std::unique_ptr<PresenceTopic>, std::less<>> topics_;
  bool listens_ = false;  // since the first member
  Subscription subscription_;
};

}  // namespace pronghorn::worker
