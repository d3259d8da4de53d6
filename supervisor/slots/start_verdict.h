// Decides whether the application can start at all. No I/O.
#pragma once

#include <cstdint>
#include <set>

#include "supervisor/launch/worker_entry.h"
#include "supervisor/system/child_process.h"
#include "supervisor/system/exit_status.h"

namespace pronghorn::supervisor {

// Until a worker has been ready, failures can mean that the application does not work: then the server ends instead of
// restarting workers forever. Afterwards no failure is hopeless.
class StartVerdict {
 public:
  void worker_ready() noexcept { ever_ready_ = true; }
  [[nodiscard]] bool ever_ready() const noexcept { return ever_ready_; }

  // The worker has ended unexpectedly, or could not be started. True: restarting it is hopeless, because it reported so
  // itself, exceeded boot_timeout, or a worker of every slot (`slots` of them) has failed.
  [[nodiscard]] bool is_hopeless(const WorkerEntry& worker, const ChildExit& how, std::uint32_t slots) {
    if (ever_ready_ || !is_worker_slot(worker.slot)) return false;
    const bool every_slot = every_slot_failed(worker.slot, slots);
    const bool cannot_start = how.signal == 0 && how.status == kExitApplication;
    return cannot_start || worker.state == WorkerState::dying || every_slot;
  }
  // The slot's process could not be created.
  [[nodiscard]] bool is_hopeless(std::uint32_t slot, std::uint32_t slots) {
    return !ever_ready_ && is_worker_slot(slot) && every_slot_failed(slot, slots);
  }

 private:
  bool every_slot_failed(std::uint32_t slot, std::uint32_t slots) {
    failed_slots_.insert(slot);
    return failed_slots_.size() >= slots;
  }

  std::set<std::uint32_t> failed_slots_;
  bool ever_ready_ = false;
};

}  // namespace pronghorn::supervisor
