// The worker's part in the quarantine, apart from refusing requests: identifies requests that killed workers, and
// synchronises Redis with the supervisor, which writes the table.
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
#include "worker/routing/served_app.h"
#include "worker/state/quarantine/quarantine_gate.h"
#include "worker/state/quarantine/quarantine_store.h"

namespace pronghorn::worker {

class RedisClient;

// Context:   loop thread; one per worker. Does nothing if quarantine_time is 0.
// Ownership: the arguments of the constructor must outlive it; `redis` is null with --redis none.
// Errors: nothing throws. While Redis is down, the quarantine applies to this machine; Redis learns of it later.
class QuarantineKeeper {
 public:
  using Send = std::function<void(const ChannelMessage&)>;  // to the supervisor

  QuarantineKeeper(ServedApp& application, QuarantineTable& table, WorkerRow& row, RedisClient* redis,
                   const Config& config, Send send);
  QuarantineKeeper(const QuarantineKeeper&) = delete;
  QuarantineKeeper& operator=(const QuarantineKeeper&) = delete;

  // Reports the entries of Redis to the supervisor. Await it before the first request is accepted.
  [[nodiscard]] Task<void> sync();
  // Repeats sync() once per second.
  void start();
  // Handles the messages `killed` and `release_quarantine`.
  void received(const ChannelMessage& message);

 private:
  [[nodiscard]] Task<void> keep();
  [[nodiscard]] Task<void> count(QuarantinedRequest request);
  [[nodiscard]] Task<void> compare();
  [[nodiscard]] Task<void> release_waiting();
  [[nodiscard]] bool redis_up() const noexcept;
  void tell_supervisor(const std::vector<QuarantineEntry>& before, const std::vector<QuarantineStore::Stored>& stored);
  void tell_error(std::string_view error);

  ServedApp& application_;
  QuarantineTable& table_;
  QuarantineGate gate_;
  RedisClient* redis_;
  std::optional<QuarantineStore> store_;  // empty with --redis none or quarantine_time 0
  Milliseconds time_;
  Send send_;
  std::vector<std::string> releases_;  // not yet carried out in Redis
  bool told_error_ = false;
  Task<void> keeping_;
};

}  // namespace pronghorn::worker
