// The members that one topic has in this worker, and their upkeep in Redis.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "pronghorn/task.h"
#include "pronghorn/timer.h"
#include "worker/state/presence/presence_scripts.h"

namespace pronghorn::worker {

class PresenceService;

// Changes of one turn of the loop go to Redis together. One call is in flight at a time, with at most kBatch members, so
// that Redis serves others in between; meanwhile more changes gather. What fails because Redis is away or refuses it is
// repeated after a second; what Redis says is wrong (keys that hold something else, missing permissions), after an
// eighth of the time between renewals. All members are renewed before their leases end, which also brings back what
// Redis has lost.
//
// Context:   loop thread.
// Ownership: the PresenceService. It removes itself from there when there is nothing left to do.
class PresenceTopic {
 public:
  static constexpr std::size_t kBatch = 256;

  PresenceTopic(PresenceService& service, std::string_view topic);
  PresenceTopic(const PresenceTopic&) = delete;
  PresenceTopic& operator=(const PresenceTopic&) = delete;
  ~PresenceTopic() = default;

  // See PresenceService. release() may destroy the topic.
  void join(std::string_view id, std::string_view data);
  void leave(std::string_view id);
  void release(std::string_view id);
  // Renews all members then, in place of when it would have.
  void renew_after(std::chrono::milliseconds delay);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  enum class Wish : std::uint8_t { present, absent, released };
  struct Member {
    std::string data = {};
    Wish wish = Wish::present;
    bool queued = false;     // in queue_
    bool in_flight = false;  // in batch_
    std::chrono::steady_clock::time_point left = {};
  };
  using Members = std::unordered_map<std::string, Member>;
  using Entry = Members::value_type;

  void queue(Entry& entry);
  void pump();
  [[nodiscard]] PresenceChange take_batch();
  [[nodiscard]] Task<void> call();
  void called();
  void renew();
  void settle(Entry& entry);
  void end_if_empty();

  PresenceService& service_;
  std::string name_;
  PresenceKeys keys_;
  Members members_;
  std::vector<Entry*> queue_;  // have changed, or are to be renewed
  std::vector<Entry*> batch_;  // in flight
  bool busy_ = false;          // a call is in flight, or about to be sent
  // After which the call that has failed is repeated; zero: it has not failed.
  std::chrono::milliseconds repeat_after_{0};
  Task<void> call_;
  pronghorn::detail::Timer turn_{std::chrono::nanoseconds(0)};
  std::optional<pronghorn::detail::Timer> retry_;
  std::optional<pronghorn::detail::Timer> renewal_;
};

}  // namespace pronghorn::worker
