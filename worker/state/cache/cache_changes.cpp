// Implements the part of cache_service.h that changes what is cached.
#include <exception>
#include <utility>

#include "pronghorn/redis.h"
#include "worker/state/cache/cache_service.h"

namespace pronghorn::worker {

Task<void> CacheService::invalidate(std::string_view key) {
  require_cache_text("key", key);
  return remove(store_.keys_of(key));
}

Task<void> CacheService::remove(EntryKeys keys) {
  const std::string entry = keys.entry;
  Task<void> removing = store_.remove(std::move(keys));
  co_await std::move(removing);
  flights_.forget(entry);  // its value is out of date
  local_.copies().changed(entry);
}

Task<void> CacheService::invalidate_tag(std::string_view tag) {
  require_cache_text("tag", tag);
  return [](CacheService& self, std::string key) -> Task<void> {
    co_await self.store_.remove_tag(key);
    self.local_.copies().changed(key);
  }(*this, store_.tag_key(tag));
}

Task<void> CacheService::forget_responses(std::string resource) {
  Task<void> removing = store_.remove_tag(store_.keys_of(resource, kResources).entry);
  try {
    co_await std::move(removing);
  } catch (const RedisError& error) {
    redis_failed(error);
  }
}

Task<void> CacheService::put(std::shared_ptr<CacheCall> call, std::string value) {
  Entry entry = make_entry(*call, std::move(value));
  entry.tags = call->versions;
  store_.keep_versions(*call, entry.lifetime);
  try {
    co_await store_.put(call->keys, entry);
  } catch (const RedisError& error) {
    redis_failed(error);
  }
}

Task<void> CacheService::write_through(std::shared_ptr<CacheCall> call, std::string value,
                                       std::unique_ptr<CacheSave> save) {
  FillClaim claim(client_, call->keys, name_claim());
  co_await claim.begin_write();
  flights_.forget(call->keys.entry);
  local_.copies().changed(call->keys.entry);
  if (!call->tags.empty()) call->versions = co_await store_.versions_for(call->tags);
  std::exception_ptr error;
  try {
    co_await save->run(value);
  } catch (...) {
    error = std::current_exception();
  }
  Entry entry = make_entry(*call, std::move(value));
  entry.tags = call->versions;
  std::string bytes = error ? std::string() : encode(entry);
  try {
    (void)co_await claim.end_write(std::move(bytes), entry.lifetime);
  } catch (const RedisError& failed) {  // the entry is gone, and the lease of the lock ends
    redis_failed(failed);
  }
  local_.copies().changed(call->keys.entry);
  if (error) std::rethrow_exception(error);
}

// In the cache first: if Redis does not take it, the caller knows, and nothing is saved.
Task<void> CacheService::write_behind(std::shared_ptr<CacheCall> call, std::string value,
                                      std::unique_ptr<CacheSave> save) {
  const WriteQueue::Place place(writes_, call->keys.entry, value.size());
  if (!call->tags.empty()) call->versions = co_await store_.versions_for(call->tags);
  Entry entry = make_entry(*call, value);
  entry.tags = call->versions;
  co_await store_.put(call->keys, entry);
  flights_.forget(call->keys.entry);
  local_.copies().changed(call->keys.entry);
  writes_.push(call->keys, entry.id, std::move(value), std::move(save));
}

}  // namespace pronghorn::worker
