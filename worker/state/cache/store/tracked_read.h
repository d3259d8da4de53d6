// One read of an entry and its tags, of which a local copy may be made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "worker/state/cache/local/local_cache.h"
#include "worker/state/cache/store/cache_call.h"
#include "worker/state/cache/store/cache_store.h"
#include "worker/state/redis/node/redis_call.h"

namespace pronghorn::worker {

// Context:   loop thread.
// Ownership: a local variable of the coroutine that reads.
class TrackedRead {
 public:
  // `copies` is null if no copy is wanted.
  TrackedRead(RedisClient& client, LocalCache* copies);
  TrackedRead(const TrackedRead&) = delete;
  TrackedRead& operator=(const TrackedRead&) = delete;
  ~TrackedRead();

  // Sends a command, or GET. Returns the position of its reply in call().
  std::size_t send(std::initializer_list<std::string_view> words) {
    call_.send(words);
    return sent_++;
  }
  std::size_t get(const std::string& key);
  [[nodiscard]] RedisCall& call() noexcept { return call_; }

  // Keeps a copy of an entry that is fresh for `left`: of the first key that was read, valid as long as none of the keys
  // changes.
  void keep(const CacheCall& wanted, const Judged& judged);

 private:
  RedisCall call_;
  LocalCache* copies_;  // null: changes of what is read would not be told
  std::uint64_t began_ms_ = 0;
  std::size_t sent_ = 0;
  std::vector<std::size_t> permissions_;  // positions of the replies to CLIENT CACHING
  std::vector<std::shared_ptr<LocalCopies::Slot>> slots_;
};

}  // namespace pronghorn::worker
