// One read of the sessions that a request's cookies name.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "worker/state/redis/node/redis_call.h"

namespace pronghorn::worker {

// Context: loop thread.
struct SessionReading {
  SessionReading(RedisClient& client, std::vector<std::string> named) : ids(std::move(named)), call(client) {}

  std::vector<std::string> ids;
  RedisCall call;  // of each id: its hash, its time to live, and, with a user, the user's mark
};

// A read that has begun before the handler asked for the session. Attached to the request.
class EarlyReading {
 public:
  using Clock = std::chrono::steady_clock;

  // `was_used` is set to false if nobody takes the reading.
  EarlyReading(std::unique_ptr<SessionReading> reading, bool& was_used)
      : reading_(std::move(reading)), began_(Clock::now()), was_used_(&was_used) {}
  EarlyReading(EarlyReading&&) noexcept = default;
  EarlyReading& operator=(EarlyReading&&) = delete;
  ~EarlyReading() {
    if (reading_) *was_used_ = false;
  }

  // Once; null afterwards, and if it is too old to stand for a read that begins now.
  [[nodiscard]] std::unique_ptr<SessionReading> take() {
    std::unique_ptr<SessionReading> taken = std::move(reading_);
    if (taken && Clock::now() - began_ > kLongest) taken.reset();
    return taken;
  }

 private:
  static constexpr std::chrono::milliseconds kLongest{100};

  std::unique_ptr<SessionReading> reading_;
  Clock::time_point began_;
  bool* was_used_;
};

}  // namespace pronghorn::worker
