// What the scoreboard says about this worker's Redis.
#pragma once

#include <string_view>

#include "common/ipc/scoreboard.h"

namespace pronghorn::worker {

// The only writer of the row's redis_* fields other than counters. Context: loop thread.
class RedisStatus {
 public:
  explicit RedisStatus(WorkerRow& row) noexcept : row_(row) {}

  // Records the state, why it is not `up`, and since when if the state changes.
  void set(RedisState state, std::string_view reason = {}) noexcept;

 private:
  WorkerRow& row_;
};

}  // namespace pronghorn::worker
