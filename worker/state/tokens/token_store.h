// What of tokens is kept in Redis: revoked access tokens, and families of refresh tokens. pronghorn/token.h names the
// keys; those of one family share a hash tag, so they are in one slot of a cluster.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "pronghorn/redis.h"
#include "pronghorn/task.h"
#include "worker/crypto/jwt/jwt.h"

namespace pronghorn::worker {

class RedisClient;

// Context: loop thread; one per worker.
// Errors:  RedisUnavailable if Redis cannot serve, and with --redis none; RedisError for other error replies. Arguments
//          by reference must outlive the task.
class TokenStore {
 public:
  using Time = std::chrono::milliseconds;

  // `client` is null with --redis none. `row` is for counters().
  TokenStore(RedisClient* client, const Config& config, WorkerRow& row);
  TokenStore(const TokenStore&) = delete;
  TokenStore& operator=(const TokenStore&) = delete;

  // Of the worker: TokenService counts the tokens_*.
  [[nodiscard]] CounterArray& counters() noexcept { return counters_; }

  // Throws RedisUnavailable with --redis none.
  void require_redis() { static_cast<void>(require_client()); }

  // Whether the token or its family has been revoked.
  [[nodiscard]] Task<bool> revoked(const VerifiedToken& token);
  // `left`: how long the token could still be accepted. A mark is kept for an hour at least, so that a full Redis,
  // which evicts what expires soonest, evicts other keys first.
  [[nodiscard]] Task<void> revoke(const VerifiedToken& token, Time left);

  struct Family {
    std::string subject;
    std::string scope;
    std::string claims;
  };
  [[nodiscard]] Task<void> begin_family(const std::string& family, const std::string& digest, const Family& content,
                                        Time ttl, Time until_end);

  // What a refresh token with this digest is to its family.
  enum class Standing { unknown, used, current };
  [[nodiscard]] Task<Standing> standing(const std::string& family, const std::string& digest);

  struct Rotation {
    enum class Outcome { rotated, unknown, reused } outcome;
    Family content;  // of `reused` only the subject
  };
  // Replaces the refresh token whose digest is `presented` by that with the digest `next`. `left`: how long an access
  // token of the family could still be accepted.
  [[nodiscard]] Task<Rotation> rotate(const std::string& family, const std::string& presented, const std::string& next,
                                      Time ttl, Time left);
  [[nodiscard]] Task<void> end_family(const std::string& family, Time left);

 private:
  [[nodiscard]] RedisClient& require_client();
  [[nodiscard]] std::string key_of_family(std::string_view family) const;
  [[nodiscard]] std::string mark_of_family(std::string_view family) const;
  [[nodiscard]] std::string mark_of_token(const VerifiedToken& token) const;

  RedisClient* client_;
  CounterArray& counters_;
  std::string prefix_;
  bool told_missing_ = false;
};

}  // namespace pronghorn::worker
