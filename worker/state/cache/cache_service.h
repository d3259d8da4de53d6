// The cache of a worker: implements pronghorn/cache.h. The promises to callers are there.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "pronghorn/cache.h"
#include "pronghorn/task.h"
#include "worker/state/cache/flights.h"
#include "worker/state/cache/local/local_cache.h"
#include "worker/state/cache/store/cache_call.h"
#include "worker/state/cache/store/cache_store.h"
#include "worker/state/cache/store/fill_claim.h"
#include "worker/state/cache/write_queue.h"

namespace pronghorn::detail {
// What the public headers know of worker::CacheService.
class CacheService {
 protected:
  ~CacheService() = default;
};
}  // namespace pronghorn::detail

namespace pronghorn::worker {

class Subscriber;

// How a call goes: look in Redis; without an answer, lead the flight of the key in this worker or follow it; who leads
// takes the claim on the key, or waits for the fill of whoever has it.
//
// Context: loop thread; one per worker. Must outlive the coroutines that use it.
class CacheService final : public pronghorn::detail::CacheService {
 public:
  CacheService(RedisClient& client, Subscriber& subscriber, const Config& config, WorkerRow& row);
  CacheService(const CacheService&) = delete;
  CacheService& operator=(const CacheService&) = delete;

  // A call without a fill. Throws std::invalid_argument for a key, tag or option out of range.
  [[nodiscard]] std::shared_ptr<CacheCall> prepare(std::string_view key, const CacheOptions& options) const;

  // A call for a response of a cached() route. `name` may have any length. It ends with forget_responses(resource), unless
  // that is empty.
  [[nodiscard]] std::shared_ptr<CacheCall> prepare_response(std::string_view name, std::string_view resource,
                                                            const CachedOptions& options) const;

  // The local copy of the value, good until the next call of any function; null if there is none.
  [[nodiscard]] const std::string* find_local(std::string_view key);
  [[nodiscard]] Task<CacheAnswer> fetch(std::shared_ptr<CacheCall> call);
  // What fetch() would find in the cache; nullopt if it would have to fill, or if Redis is unavailable.
  [[nodiscard]] Task<std::optional<CacheAnswer>> peek(std::shared_ptr<CacheCall> call);
  [[nodiscard]] Task<void> invalidate(std::string_view key);
  [[nodiscard]] Task<void> remove(EntryKeys keys);
  [[nodiscard]] Task<void> invalidate_tag(std::string_view tag);
  // If Redis is unavailable, what is stored lives on; that is counted, and nothing is thrown.
  [[nodiscard]] Task<void> forget_responses(std::string resource);
  // Puts a value into the cache that was computed together with another one: under the versions that their tags had then,
  // which are in the call. Nothing is thrown here either.
  [[nodiscard]] Task<void> put(std::shared_ptr<CacheCall> call, std::string value);
  [[nodiscard]] Task<void> write_through(std::shared_ptr<CacheCall> call, std::string value,
                                         std::unique_ptr<CacheSave> save);
  [[nodiscard]] Task<void> write_behind(std::shared_ptr<CacheCall> call, std::string value,
                                        std::unique_ptr<CacheSave> save);
  // Ends local copies and closes their connections.
  void close() { local_.close(); }
  // Returns when everything of write_behind() is saved.
  [[nodiscard]] Task<void> drain() { return writes_.drain(); }

 private:
  class Refreshing;
  class RenewedVersions;

  [[nodiscard]] std::string name_claim() { return claimant_ + std::to_string(++claims_); }
  [[nodiscard]] Task<Judged> look(const CacheCall& call);
  [[nodiscard]] Task<CacheAnswer> lead(std::shared_ptr<CacheCall> call, std::string useless, bool with_redis,
                                       bool waited);
  [[nodiscard]] Task<std::optional<CacheAnswer>> wait_for_claim(const CacheCall& call, FillClaim& claim,
                                                                std::string useless, bool waited);
  // Runs the fill, and stores what it returns if `claim` is not null. `lead` may be null. `with_redis`: it was there
  // before.
  [[nodiscard]] Task<CacheAnswer> fill(CacheCall& call, FillClaim* claim, Flights::Lead* lead, bool with_redis = true);
  [[nodiscard]] Task<bool> store(const CacheCall& call, FillClaim& claim, Entry& entry, bool shared);
  [[nodiscard]] Task<CacheAnswer> answer_stale(std::shared_ptr<CacheCall> call, Judged judged);
  // `left` is how long the old value may still be used.
  void refresh_later(const std::shared_ptr<CacheCall>& call, std::string useless, std::chrono::milliseconds left);
  [[nodiscard]] Task<void> refresh(std::shared_ptr<CacheCall> call, std::string useless,
                                   std::chrono::milliseconds left);
  [[nodiscard]] Entry make_entry(const CacheCall& call, std::optional<std::string> value);
  void redis_failed(const std::exception& error);
  void redis_served();

  RedisClient& client_;
  Subscriber& subscriber_;
  WorkerRow& row_;
  CacheStore store_;
  LocalCache local_;
  Flights flights_;
  WriteQueue writes_;
  std::string claimant_;  // "HOLDER/RANDOM-": a process may have several workers, in tests
  std::uint64_t claims_ = 0;
  std::uint64_t fills_ = 0;    // that have begun
  std::uint64_t moments_ = 0;  // counts them, to tell which of two was the earlier one
  std::minstd_rand random_;
  // Keys that are refreshed in the background now, and those whose refresh has failed, until when nobody tries again.
  std::unordered_set<std::string> refreshing_;
  std::unordered_map<std::string, std::chrono::steady_clock::time_point> failed_;
  bool told_refresh_failed_ = false;
  bool told_refused_ = false;
  std::chrono::steady_clock::time_point refused_;  // the last time
};

}  // namespace pronghorn::worker
