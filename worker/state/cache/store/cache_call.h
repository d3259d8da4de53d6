// What one call of the cache asks for, and what it gets.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/cache.h"
#include "worker/state/cache/store/entry.h"
#include "worker/state/cache/store/fill_claim.h"

namespace pronghorn::worker {

using pronghorn::detail::CacheFill;
using pronghorn::detail::CacheLifetime;
using pronghorn::detail::CacheSave;

inline constexpr std::chrono::milliseconds kLongestCached = std::chrono::days(366);

// Throw std::invalid_argument, with `what` in it, for a key or tag, or an option, that is out of range.
void require_cache_text(std::string_view what, std::string_view text);
void require_valid(const CacheOptions& options);

// A tag that an entry will carry.
struct CallTag {
  std::string key;                    // of its version in Redis …
  std::chrono::milliseconds life{0};  // … which lives for at least that long after a fill has begun
};

// Owns everything, because a refresh in the background outlives its caller.
struct CacheCall {
  std::string name;  // the application's key, if `local`
  EntryKeys keys;
  CacheLifetime lifetime;
  std::vector<CallTag> tags;
  // Set when the fill begins: the versions of the tags, and whether its value will be stored, for all that is known.
  std::vector<EntryTag> versions;
  bool stores = false;
  std::size_t max_value = 0;
  bool local = false;
  bool accepts_missing = true;  // whether a negative entry is an answer
  // Who computes a value that is past its ttl: a task in the background, or the caller himself, while all others get
  // the old value.
  bool refreshes_in_background = true;
  // An older entry is not used. Zero: none is, and the value is computed, or shared with a fill that has begun later.
  std::chrono::milliseconds max_age = std::chrono::milliseconds::max();
  std::optional<std::chrono::milliseconds> least_fresh = {};  // nor one that is fresh for a shorter time
  std::shared_ptr<CacheFill> fill;
};

struct CacheAnswer {
  std::optional<std::string> value = {};  // absent: there is none
  std::chrono::milliseconds age{0};       // since it was computed
  std::uint64_t fill = 0;   // the number of the fill that has just made it, in this worker; 0: it was in the cache
  std::uint64_t as_of = 0;  // the moment when Redis was asked whether it may be used: CacheService::moments_
};

}  // namespace pronghorn::worker
