#include "supervisor/slots/slot_publisher.h"

#include <algorithm>

namespace pronghorn::supervisor {

void SlotPublisher::publish(std::uint32_t slot, std::uint64_t now) noexcept {
  if (slot == kAdminSlot) return;
  SlotRow& row = board_.slot(slot);
  const WorkerEntry* worker = slots_.current(slot);
  const WorkerEntry* other = slots_.other(slot);
  const bool replaced = other != nullptr && other->state != WorkerState::starting;
  row.state.store(slots_.state(slot, now));
  row.old_pid.store(replaced ? static_cast<std::uint32_t>(other->pid) : 0);
  row.pid.store(worker != nullptr ? static_cast<std::uint32_t>(worker->pid) : 0);
  const auto backoff = slots_.backoff(slot, now);
  row.backoff_exits.store(backoff ? backoff->series.exits : 0);
  row.backoff_began_ms.store(backoff ? backoff->series.began_ms : 0);
  row.backoff_until_ms.store(backoff ? backoff->until_ms : 0);
  if (worker == nullptr) return;
  row.row.store(worker->row);
  row.generation.store(worker->generation);
  row.started_ms.store(worker->started_ms);
}

void SlotPublisher::publish_all(std::uint64_t now) noexcept {
  std::uint32_t used = slots_.target();
  for (std::uint32_t slot = 0; slot < std::min(listeners_.slots(), kMaxWorkers); ++slot) {
    publish(slot, now);
    if (slots_.current(slot) != nullptr) used = std::max(used, slot + 1);
  }
  board_.server().slots.store(used);
  for (std::uint32_t slot = kDistributorSlot; slot < kMaxSlots; ++slot) {  // and the job workers
    if (slots_.wanted(slot) || slots_.current(slot) != nullptr) publish(slot, now);
  }
}

}  // namespace pronghorn::supervisor
