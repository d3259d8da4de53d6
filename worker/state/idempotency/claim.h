// The claim of one request on its Idempotency-Key.
//
// A claim has a lease of kLease, which its worker renews every kRenewal while the request runs, so that a claim of a
// machine that has gone ends with its lease. Workers of one machine need not wait for that: the claim names its
// process, and they see whether it still lives (holder.h). A process that lives and does not renew may only be blocked;
// its claim stays for `patience` longer. Whoever has lost his claim can neither renew nor finish it: each has a name of
// its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "pronghorn/redis.h"
#include "pronghorn/task.h"
#include "pronghorn/timer.h"
#include "worker/state/idempotency/kept_response.h"

namespace pronghorn::worker {

class RedisClient;

// Context:   loop thread.
// Ownership: a local variable of the coroutine that handles the request. Destroying it frees the key if the request has
//            not finished.
// Errors:    RedisUnavailable if Redis cannot serve, RedisError for other error replies.
class Claim {
 public:
  static constexpr std::chrono::milliseconds kLease{10'000};
  static constexpr std::chrono::milliseconds kRenewal{3'000};

  struct Terms {
    std::string key;   // in Redis
    std::string name;  // "HOLDER/NUMBER", unique
    std::chrono::milliseconds keep;
    std::chrono::milliseconds patience;
  };
  Claim(RedisClient& client, Terms terms);
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  ~Claim();

  enum class Answer {
    taken,     // the request may run
    running,   // another one runs with the key
    other,     // the key belongs to a request with another fingerprint
    finished,  // kept() is the response
  };
  // Await it once.
  [[nodiscard]] Task<Answer> take(std::string fingerprint);
  [[nodiscard]] KeptResponse& kept() noexcept { return kept_; }

  // Ends the claim with a response. False if another worker has taken the key over meanwhile.
  [[nodiscard]] Task<bool> finish(KeptResponse response);
  // Frees the key, so that the request can be repeated. Never throws.
  [[nodiscard]] Task<void> give_up();

 private:
  [[nodiscard]] bool may_replace(std::string_view claim, std::int64_t left_ms) const;
  void read(const Reply::Array& finished);
  void renew();
  void renew_later();

  RedisClient& client_;
  Terms terms_;
  std::string lease_text_;
  std::string ttl_text_;  // of the key while the request runs
  bool held_ = false;     // Redis may have the claim
  KeptResponse kept_;
  pronghorn::detail::Timer renewal_{kRenewal};
};

}  // namespace pronghorn::worker
