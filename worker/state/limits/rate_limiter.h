// Checks rate limits (pronghorn/limit.h): one Lua script and one round trip for all limits of a request, on Redis' clock,
// or no round trip if the machine has leased permits of all of them (leases.h).
//
// On a Redis Cluster a script can use only keys of one slot. Limits that count by the same key are in one slot, the
// others get a script each, all sent at once; if one of them refuses the request, what the others have counted is taken
// back. Between, for the time of a round trip, they may refuse a request that they would have allowed.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "pronghorn/error.h"
#include "pronghorn/limit.h"
#include "pronghorn/redis.h"
#include "pronghorn/request.h"
#include "pronghorn/task.h"
#include "worker/state/limits/limit_key.h"
#include "worker/state/limits/limit_question.h"
#include "worker/state/limits/permits/leases.h"
#include "worker/state/limits/permits/places.h"
#include "worker/state/limits/shadow.h"

namespace pronghorn::worker {

class RedisClient;

// One limit and one request.
struct LimitOutcome {
  std::string name;  // unique among the limits of the route
  bool allowed = true;
  bool concurrent = false;
  bool known = true;  // false: another limit has refused before this one was checked; the last two have no meaning
  std::uint32_t count = 0;
  std::chrono::seconds window{};
  std::uint32_t remaining = 0;                // requests that it still allows
  std::optional<std::chrono::seconds> reset;  // until it allows one more, rounded up; empty: unknown
};

// All limits of a route and one request.
struct LimitDecision {
  bool allowed = true;
  int status = 0;                      // 0 if allowed, 429 if over a limit, 503 if refused because Redis is unavailable
  std::chrono::seconds retry_after{};  // at least 1 if refused
  // In the order of the limits, without those in shadow mode; empty if decided without Redis.
  std::vector<LimitOutcome> outcomes;
};

// Which fields responses carry; see limit_fields.h. The option rate_limit_fields.
enum class LimitFieldStyle { draft, legacy, both };

// Context: loop thread; one per worker.
class RateLimiter {
 public:
  // `client` is null with --redis none: then every check is decided as if Redis were unavailable. `leases` is the
  // machine's table; null: one of this object's own.
  RateLimiter(RedisClient* client, const Config& config, WorkerRow& row, LeaseTable* leases = nullptr);
  RateLimiter(const RateLimiter&) = delete;
  RateLimiter& operator=(const RateLimiter&) = delete;

  // Checks the request against `limits`, and counts it for all of them if all allow it. `names[i]` identifies limits[i]
  // within the application: the route, and which of its limits. A concurrency limit counts the request until the request
  // ends. `request`, `limits` and `names` must outlive the task. Counts refusals (429), what limits in shadow mode would
  // refuse, and decisions without Redis or a round trip in the worker's row. Throws only what a limit's `key` or
  // `key_task` throws, except RedisUnavailable.
  [[nodiscard]] Task<LimitDecision> check(Request& request, std::span<const Limit> limits,
                                          std::span<const std::string> names);

  [[nodiscard]] LimitFieldStyle field_style() const noexcept { return field_style_; }

 private:
  // One limit while a request is checked.
  struct Checked {
    std::string key;
    std::string who;                      // the end of the key
    std::optional<LimitVerdict> verdict;  // once it is known
    std::uint64_t digest = 0;             // for leases
    bool may_lease = false;               // the key had a request before
  };
  using Limits = std::span<const Limit>;
  using Names = std::span<const std::string>;

  [[nodiscard]] bool find_keys(Request& request, Limits limits, Names names, std::vector<Checked>& checked);
  [[nodiscard]] Task<void> await_keys(Request& request, Limits limits, Names names, std::vector<Checked>& checked);
  void set_key(Checked& checked, const Limit& limit, std::string_view name, std::string_view who);
  [[nodiscard]] bool draw(Limits limits, std::vector<Checked>& checked);
  void draw(const Limit& limit, Checked& checked);
  void give_back(std::vector<Checked>& checked);
  [[nodiscard]] static Task<void> ask(const std::shared_ptr<LimitQuestion>& question);
  [[nodiscard]] Task<Places> ask(Limits limits, std::vector<Checked>& checked);
  [[nodiscard]] std::vector<std::shared_ptr<LimitQuestion>> questions(Limits limits,
                                                                      const std::vector<Checked>& checked);
  [[nodiscard]] Task<bool> free_places(Limits limits, const std::vector<Checked>& checked);
  [[nodiscard]] LimitDecision decide(Request& request, Limits limits, Names names, const std::vector<Checked>& checked);
  void note_shadow(Request& request, const Limit& limit, std::string_view name);
  LimitDecision without_redis(Limits limits);

  struct Seen {
    std::uint64_t digest = 0;
    std::uint64_t at_ms = 0;
  };

  RedisClient* client_;
  WorkerRow& row_;
  LimitFieldStyle field_style_;
  bool one_slot_;  // keys of one script must be in one slot
  std::chrono::milliseconds patience_;
  LimitKeys keys_;
  PlaceHolders holders_;
  std::unique_ptr<LeaseTable> own_leases_;
  Leases leases_;
  std::unordered_map<std::string, Seen> seen_;  // keys of leased limits that were checked here
  ShadowLog shadow_log_;
  bool told_error_ = false;
};

}  // namespace pronghorn::worker
