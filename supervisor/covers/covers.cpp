#include "supervisor/covers/covers.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "common/log.h"

namespace pronghorn::supervisor {

std::uint64_t Covers::update(std::uint64_t now, bool server_stops) {
  std::vector<CoverPlan::Slot> view;
  for (std::uint32_t slot = 0; slot < listeners_.slots(); ++slot) {
    const WorkerEntry* worker = server_stops ? slots_.current(slot) : slots_.ready_worker(slot);
    const bool unable = worker != nullptr && (stands_still(worker->pid) || full_.contains(worker->pid));
    const std::uint64_t since = slots_.unserved_since(slot);
    // A slot that was scaled away gets no worker again, so there is nothing to wait for.
    const bool due = unable || !slots_.wanted(slot) || (since != 0 && now - since >= kAfterMs);
    view.push_back({.slot = slot,
                    .needs_cover = (worker == nullptr || unable) && due && listeners_.live(slot),
                    .ready_pid = worker != nullptr ? worker->pid : 0,
                    .unable = unable});
  }
  for (const CoverPlan::Change& change : plan_.update(view)) {
    if (!change.cover) {
      handles_.send(change.pid, {MessageKind::uncover, change.slot, {}});
    } else if (send_cover(change.pid, change.slot)) {
      log_debug(fmt::format("worker {} accepts for slot {} too", slots_.find(change.pid)->slot, change.slot));
    } else {
      plan_.forget(change.slot);
    }
  }
  return next_due(now);
}

// A worker that is older than the slot's sockets gets their descriptors, one in each message.
bool Covers::send_cover(int pid, std::uint32_t slot) const {
  const WorkerHandle* coverer = handles_.find(pid);
  if (coverer == nullptr) return false;
  if (slot < coverer->known_slots) return handles_.send(pid, {MessageKind::cover, slot, {}});
  return std::ranges::all_of(listeners_.all(), [&](const Listeners::Listener& listener) {
    if (listener.slot != slot) return true;
    const bool is_https = listeners_.addresses()[listener.address].is_https;
    return handles_.send(pid, {MessageKind::cover, slot, is_https ? "https" : ""}, listener.fd);
  });
}

std::uint64_t Covers::next_due(std::uint64_t now) const noexcept {
  std::uint64_t next = 0;
  for (std::uint32_t slot = 0; slot < slots_.target(); ++slot) {
    const std::uint64_t since = slots_.unserved_since(slot);
    if (since == 0 || now - since >= kAfterMs) continue;
    const std::uint64_t due = since + kAfterMs;
    next = next == 0 ? due : std::min(next, due);
  }
  return next;
}

}  // namespace pronghorn::supervisor
