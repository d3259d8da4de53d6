// The entries of the cache in Redis: reading, judging and invalidating them.
//
// NAME:c:{KEY} is an entry, NAME:c:{KEY}:l the lock of whoever fills it (fill_claim.h), NAME:c:{KEY}:n the channel on
// which the end of that is published, NAME:c:t:TAG the version of a tag. An entry carries the versions that its tags had
// before its fill began; removing a version invalidates all entries that carry it, whatever their number and wherever
// they are. A version that Redis has evicted does the same.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/redis.h"
#include "pronghorn/task.h"
#include "worker/state/cache/store/cache_call.h"
#include "worker/state/cache/store/entry.h"
#include "worker/state/cache/store/fill_claim.h"
#include "worker/state/cache/store/unique_ids.h"

namespace pronghorn::worker {

class LocalCache;
class RedisClient;

// Kinds of entries that are not the application's: responses, and the versions of the resources that they are of, which
// responses carry as other entries carry those of tags.
inline constexpr std::string_view kResponses = "r:";
inline constexpr std::string_view kResources = "u:";

// An entry as a caller may use it.
struct Judged {
  enum class Use { none, stale, fresh } use = Use::none;
  Entry entry = {};
  std::chrono::milliseconds age{0};
  std::chrono::milliseconds left{0};  // of its freshness
  std::string prefix = {};            // of the bytes in Redis, for FillClaim::take()
};

// Context: loop thread; one per worker.
// Errors:  functions throw RedisUnavailable if Redis cannot serve, RedisError for other error replies. Data of another
//          type or form than ours is a miss.
class CacheStore {
 public:
  CacheStore(RedisClient& client, std::string_view application);

  // `kind` is empty for the application's.
  [[nodiscard]] EntryKeys keys_of(std::string_view key, std::string_view kind = {}) const;
  [[nodiscard]] std::string tag_key(std::string_view tag) const;
  [[nodiscard]] UniqueIds& ids() noexcept { return ids_; }

  // Reads the entry, and the versions of its tags. One round trip, unless the entry has tags that the call does not
  // name. Makes a local copy if `copies` is not null, and the call names all tags of the entry. `call` must outlive the
  // task.
  [[nodiscard]] Task<Judged> look(const CacheCall& call, LocalCache* copies = nullptr);
  // Judges bytes that a script has returned.
  [[nodiscard]] Task<Judged> judge(const CacheCall& call, std::string bytes, std::chrono::milliseconds left);
  // The versions of tags before a fill; makes those that are missing. `tags` must outlive the task.
  [[nodiscard]] Task<std::vector<EntryTag>> versions_for(const std::vector<CallTag>& tags);
  // Has the versions live for as long as an entry that carries them, unless they have changed. Does not wait.
  void keep_versions(const CacheCall& call, std::chrono::milliseconds life);
  // The same while a fill runs: those that would expire within `least` live anew.
  void renew_versions(const CacheCall& call, std::chrono::milliseconds least);
  // Whether the tags still have these versions.
  [[nodiscard]] Task<bool> are_current(const std::vector<EntryTag>& tags);
  // Stores the entry, whoever fills it.
  [[nodiscard]] Task<void> put(const EntryKeys& keys, const Entry& entry);
  // Removes the entry and its lock; or the version of a tag.
  [[nodiscard]] Task<void> remove(EntryKeys keys);
  [[nodiscard]] Task<void> remove_tag(std::string tag_key);

 private:
  void prolong(const EntryTag& tag, std::chrono::milliseconds life, std::chrono::milliseconds least);

  RedisClient& client_;
  std::string prefix_;
  UniqueIds ids_;
};

}  // namespace pronghorn::worker
