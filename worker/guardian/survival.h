// What one worker needs so that its connections outlive it, and to take up those of others.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "common/ipc/handover.h"
#include "common/ipc/scoreboard.h"
#include "worker/guardian/guardian.h"
#include "worker/guardian/handoff/handoff.h"
#include "worker/net/ledger/ledger.h"

namespace pronghorn::worker {

// Context: a worker, main thread. Lives until the process ends, because its guardian reads it.
class Survival {
 public:
  // The ends of the handoff queue.
  struct Queue {
    int give;
    int take;
  };
  // Must be called once, before the process has threads. Null if the option survival_memory is 0 or there is no memory
  // for the ledger. Without a guardian the connections end with the worker: see guardian().
  [[nodiscard]] static std::unique_ptr<Survival> start(const Handover& handover, Queue queue, WorkerRow& row);
  Survival(const Survival&) = delete;
  Survival& operator=(const Survival&) = delete;

  [[nodiscard]] Ledger& ledger() noexcept { return ledger_; }
  [[nodiscard]] HandoffInbox& inbox() noexcept { return *inbox_; }
  [[nodiscard]] const Queue& queue() const noexcept { return queue_; }
  // The supervisor has died: nobody takes from the queue for long.
  void supervisor_gone() noexcept { orphaned_ = true; }
  [[nodiscard]] bool orphaned() const noexcept { return orphaned_; }
  // The ledger had no room for a connection: logged once.
  void tell_full();
  // The guardian's pid, or in one line why there is none.
  [[nodiscard]] const std::expected<int, std::string>& guardian() const noexcept { return guardian_; }

 private:
  Survival(std::uint64_t memory, Queue queue);

  Ledger ledger_;
  HandoffInbox* inbox_;
  Queue queue_;
  std::expected<int, std::string> guardian_;
  bool orphaned_ = false;
  bool told_full_ = false;
};

}  // namespace pronghorn::worker
