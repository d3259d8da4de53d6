// The worker's part in the quarantine, beside the requests: identifies those that killed workers, and carries what is
// quarantined between Redis and the supervisor, who writes the table.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/channel.h"
#include "common/ipc/quarantine_table.h"
#include "common/ipc/scoreboard.h"
#include "pronghorn/task.h"
#include "worker/routing/application.h"
#include "worker/state/quarantine/quarantine_gate.h"
#include "worker/state/quarantine/quarantine_store.h"

namespace pronghorn::worker {

class RedisClient;

// Context:   loop thread; one per worker. Does nothing with quarantine_time 0.
// Ownership: everything that the constructor takes outlives it; `redis` is null with --redis none.
// Errors:    nothing throws. While Redis is away, what is quarantined stays so on this machine, and is told to Redis
//            when it is back.
class QuarantineKeeper {
 public:
  using Send = std::function<void(const Message&)>;  // to the supervisor

  QuarantineKeeper(Application& application, QuarantineTable& table, WorkerRow& row, RedisClient* redis,
                   const Config& config, Send send);
  QuarantineKeeper(const QuarantineKeeper&) = delete;
  QuarantineKeeper& operator=(const QuarantineKeeper&) = delete;

  // What Redis has, told to the supervisor: before the first request is accepted.
  [[nodiscard]] Task<void> sync();
  // From now on that again, once a second.
  void start();
  // Messages `killed` and `release_quarantine`.
  void received(const Message& message);

 private:
  [[nodiscard]] Task<void> keep();
  [[nodiscard]] Task<void> count(QuarantinedRequest request);
  [[nodiscard]] Task<void> compare();
  [[nodiscard]] Task<void> release_waiting();
  [[nodiscard]] bool redis_up() const noexcept;
  void tell_supervisor(const std::vector<QuarantineEntry>& before, const std::vector<QuarantineStore::Stored>& stored);
  void tell_error(std::string_view error);

  Application& application_;
  QuarantineTable& table_;
  QuarantineGate gate_;
  RedisClient* redis_;
  std::optional<QuarantineStore> store_;  // empty with --redis none, or when there is no quarantine
  Milliseconds time_;
  Send send_;
  std::vector<std::string> releases_;  // that Redis has not been told yet
  bool told_error_ = false;
  Task<void> keeping_;
};

}  // namespace pronghorn::worker
