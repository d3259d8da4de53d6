// What the scoreboard says about this worker's Redis.
#pragma once

#include <span>
#include <string_view>

#include "common/ipc/scoreboard.h"

namespace pronghorn::worker {

// One server of Redis.
struct RedisNodeFacts {
  std::string_view address;
  RedisState state;
  RedisCircuit circuit;
  bool is_replica;
};

// The only writer of the row's redis_* fields other than counters. Context: loop thread.
class RedisStatus {
 public:
  // A time in the row's redis_since_at: Redis has been up since then for other workers, and so for this one if it reaches
  // it at once.
  explicit RedisStatus(WorkerRow& row) noexcept : row_(row), up_since_at_(row.redis_since_at.load()) {}

  // Records the state, why it is not `up`, and since when if the state changes.
  void set(RedisState state, std::string_view reason = {}) noexcept;
  // Records the servers that the worker is connected to, or was.
  void set_nodes(std::span<const RedisNodeFacts> nodes);

 private:
  WorkerRow& row_;
  std::uint64_t up_since_at_;  // seconds since 1970; 0: since this worker reaches it
};

}  // namespace pronghorn::worker
