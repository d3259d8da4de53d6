// The local copies of a worker, and how Redis keeps them right: CLIENT TRACKING (OPTIN) makes it tell the worker's
// subscriber connection when a key changes that the command connection has read for a copy.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/redis.h"
#include "pronghorn/task.h"
#include "worker/state/cache/local/local_copies.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/subscriptions/subscriber.h"

namespace pronghorn::worker {

// Copies are used only while both connections are those with which tracking was switched on; when one has broken, all
// copies are dropped, because changes may have been missed. If Redis refuses tracking, or is a cluster, there are none,
// which is logged once.
//
// Context: loop thread; one per worker.
class LocalCache final : private Subscriber::Listener {
 public:
  LocalCache(RedisClient& client, Subscriber& subscriber, std::size_t max_bytes);
  LocalCache(const LocalCache&) = delete;
  LocalCache& operator=(const LocalCache&) = delete;

  // A copy that may be used; see LocalCopies::find().
  [[nodiscard]] const LocalCopies::Slot* find(std::string_view name);
  // Whether copies can be made now. Otherwise begins to make it so.
  [[nodiscard]] bool ready();
  // Whether copies that exist now are right.
  [[nodiscard]] bool tracking() const noexcept {
    return tracked_ != 0 && client_.connection() == tracked_ && subscription_->active() &&
           subscriber_.client_id() == told_to_;
  }
  [[nodiscard]] static std::uint64_t now_ms();
  [[nodiscard]] LocalCopies& copies() noexcept { return copies_; }
  [[nodiscard]] const LocalCopies& copies() const noexcept { return copies_; }

 private:
  // Subscriber::Listener
  void message(std::string_view channel, const Reply& payload) override;
  void interrupted(std::string_view name) override;

  [[nodiscard]] Task<void> switch_on();
  void refused(std::string_view why);

  RedisClient& client_;
  Subscriber& subscriber_;
  LocalCopies copies_;
  std::optional<Subscription> subscription_;  // once copies were asked for
  std::uint64_t tracked_ = 0;                 // the command connection whose reads are tracked; 0: none
  std::int64_t told_to_ = 0;                  // the subscriber connection that is told of changes
  std::uint64_t again_ms_ = 0;                // when to try again after a refusal
  bool told_refused_ = false;
  bool switching_on_ = false;
};

}  // namespace pronghorn::worker
