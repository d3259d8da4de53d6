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

  // Sends a command, or GET. Returns its position for take().
  std::size_t send(std::initializer_list<std::string_view> words);
  std::size_t get(const std::string& key);
  // To be awaited, once.
  [[nodiscard]] RedisCall& call() noexcept { return call_; }
  // The reply; once for each command.
  [[nodiscard]] Reply take(std::size_t position);

  // Keeps a copy of an entry that is fresh for the time that is left: of the first key that was read, valid as long as
  // none of the keys changes. After take() of all keys.
  void keep(const CacheCall& wanted, const Judged& judged);

 private:
  struct Sent {
    std::size_t index;            // of the reply in call_
    bool in_transaction = false;  // the reply is that of EXEC
    bool tracked = false;
    std::shared_ptr<LocalCopies::Slot> slot = nullptr;  // of a key; null if changes would not be told of
  };

  [[nodiscard]] bool is_watched(const Sent& read);

  RedisClient& client_;
  RedisCall call_;
  LocalCache* copies_;
  std::uint64_t began_ms_ = 0;
  std::size_t next_ = 0;  // index of the next reply in call_
  bool all_tracked_ = true;
  std::vector<Sent> sent_;
};

}  // namespace pronghorn::worker
