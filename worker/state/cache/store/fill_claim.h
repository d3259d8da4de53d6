// The right of one worker to fill or write an entry.
//
// A claim is the value of the entry's lock. It has a lease of kLease, which is renewed every kRenewal while it is held,
// so that the claim of a machine that has gone ends within a second. Workers of one machine need not wait for that: the
// claim names its process, and they see whether it still lives (worker/state/idempotency/holder.h). A process that
// lives and does not renew may only be blocked: its own machine leaves it the claim for kPatience longer. Whoever has
// lost his claim can neither renew nor store: each has a name of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "pronghorn/redis.h"
#include "pronghorn/task.h"
#include "pronghorn/timer.h"

namespace pronghorn::worker {

class RedisClient;

// The keys of an entry in Redis, which share a hash tag.
struct EntryKeys {
  std::string entry;
  std::string lock;
  std::string news;  // the channel on which the end of a fill or write is published
};

// Context:   loop thread.
// Ownership: a local variable of the coroutine that fills or writes. Destroying it frees the lock if the claim has it.
//            `keys` must outlive it.
// Errors:    RedisUnavailable if Redis cannot serve, RedisError for other error replies.
class FillClaim {
 public:
  static constexpr std::chrono::milliseconds kLease{750};
  static constexpr std::chrono::milliseconds kRenewal{200};
  static constexpr std::chrono::milliseconds kPatience{4'250};

  // `name` is "HOLDER/ANYTHING", unique.
  FillClaim(RedisClient& client, const EntryKeys& keys, std::string name);
  FillClaim(const FillClaim&) = delete;
  FillClaim& operator=(const FillClaim&) = delete;
  ~FillClaim();

  struct Answer {
    enum class Kind { taken, held, entry } kind;
    std::string entry = {};             // its bytes, which may be anything …
    std::chrono::milliseconds left{0};  // … and its time to live; or, of the holder, how long to leave it the claim
  };
  // Takes the lock, unless there is another entry than the one with the prefix `useless`, or another claim.
  [[nodiscard]] Task<Answer> take(std::string useless);

  // Stores the entry and ends the claim. False if the claim was lost: the entry was invalidated, or written, or the
  // lease ran out.
  [[nodiscard]] Task<bool> store(std::string entry, std::chrono::milliseconds life);
  // Frees the lock. Never throws.
  [[nodiscard]] Task<void> give_up();

  // The same for a write, which has precedence: takes the lock from whoever has it, and removes the entry.
  [[nodiscard]] Task<void> begin_write();
  // Ends it with an entry, or without one ("").
  [[nodiscard]] Task<bool> end_write(std::string entry, std::chrono::milliseconds life);

 private:
  [[nodiscard]] Task<bool> end(const Script& script, std::string entry, std::chrono::milliseconds life);
  [[nodiscard]] std::chrono::milliseconds time_to_leave(std::string_view claim, std::int64_t lock_left_ms) const;
  void tell();
  void renew();
  void renew_later();

  RedisClient& client_;
  const EntryKeys& keys_;
  std::string name_;
  std::string lock_life_;
  bool held_ = false;  // Redis may have the claim
  pronghorn::detail::Timer renewal_{kRenewal};
};

}  // namespace pronghorn::worker
