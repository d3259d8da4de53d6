// The presence of a topic in Redis.
//
// Two keys with one hash tag: a sorted set of ids by the time when their lease ends (Redis' clock, ms), and a hash of the
// data of those that have any. Whoever comes by finds the leases that have ended, and tells the topic "presence:TOPIC".
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/presence.h"
#include "pronghorn/task.h"
#include "worker/state/redis/redis_client.h"

namespace pronghorn::worker {

struct PresenceKeys {
  std::string leases;
  std::string data;
  std::string channel;  // where joins and leaves are told
};

// What one call changes.
struct PresenceChange {
  std::vector<PresentMember> joins;  // or renews
  std::vector<std::string> leaves;
};

// Each throws RedisUnavailable or RedisError. The arguments must outlive the task.
[[nodiscard]] Task<void> change_presence(RedisClient& client, const PresenceKeys& keys, const PresenceChange& change,
                                         std::chrono::milliseconds lease);
[[nodiscard]] Task<std::uint64_t> count_present(RedisClient& client, const PresenceKeys& keys, CallOptions options);
[[nodiscard]] Task<PresenceList> list_present(RedisClient& client, const PresenceKeys& keys, std::size_t limit,
                                              CallOptions options);
// `cursor` is a decimal number of 64 bits; 0 begins.
[[nodiscard]] Task<PresencePage> page_of_present(RedisClient& client, const PresenceKeys& keys, std::string_view cursor,
                                                 CallOptions options);

}  // namespace pronghorn::worker
