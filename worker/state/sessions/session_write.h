// What a request changes of its session, in one script.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "pronghorn/redis.h"
#include "pronghorn/task.h"
#include "worker/state/redis/node/redis_call.h"

namespace pronghorn::worker {

class RedisClient;

// Empty text: not.
struct SessionWrite {
  std::string key;
  std::string old_key;   // renamed to `key`
  std::string mark_key;  // of the user: the session remembers its value
  std::string ttl;       // ms
  bool create = false;
  std::string cookie_sent;        // s since 1970
  std::string born;               // ms since 1970
  std::vector<std::string> sets;  // names and values in turn
  std::vector<std::string> erases;
  std::chrono::steady_clock::time_point begun = {};  // with a mark: when what logs in has begun
};

inline constexpr CallOptions kUnnamedKeys{.names_keys = false};  // of sessions: they have ids in them

// Runs session_write_script() and returns its reply (session_scripts.h). `write` must outlive the task.
// Context: loop thread.
[[nodiscard]] Task<Reply> write_session(RedisClient& client, const SessionWrite& write);

// The same on a Redis Cluster for a session whose new key is in another slot than its old one: it is read, written there,
// and deleted here. What a parallel request changes in between is lost; if one ends the session, what was read of it is
// dropped. Must be shielded from cancellation. Throws RedisError.
[[nodiscard]] Task<Reply> move_session(RedisClient& client, SessionWrite write);

}  // namespace pronghorn::worker
