// Lets workers accept from the listeners of other slots that have no worker, or whose worker is blocked or full, so that
// no connection waits in the queues of those slots.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <set>
#include <utility>

#include "supervisor/covers/cover_plan.h"
#include "supervisor/listen/listeners.h"
#include "supervisor/slots/handle_table.h"
#include "supervisor/slots/slots.h"

namespace pronghorn::supervisor {

class Covers {
 public:
  // All must outlive this.
  Covers(const Slots& slots, const Listeners& listeners, const HandleTable& handles)
      : slots_(slots), listeners_(listeners), handles_(handles) {}

  // Sets which ready workers are blocked. Returns whether that has changed.
  bool set_still(std::set<int> pids) {
    if (pids == still_) return false;
    still_ = std::move(pids);
    return true;
  }
  [[nodiscard]] bool stands_still(int pid) const noexcept { return still_.contains(pid); }
  // Sets which ready workers are full. Returns whether that has changed.
  bool set_full(std::set<int> pids) {
    if (pids == full_) return false;
    full_ = std::move(pids);
    return true;
  }

  // Tells workers which slots to cover and which to stop covering. `server_stops`: draining workers cover too. Returns
  // when the next slot will need a cover (monotonic milliseconds; 0: none).
  std::uint64_t update(std::uint64_t now, bool server_stops);

 private:
  // A restart is usually faster, and then covering would only cost messages.
  static constexpr std::uint64_t kAfterMs = 20;

  [[nodiscard]] bool send_cover(int pid, std::uint32_t slot) const;
  [[nodiscard]] std::uint64_t next_due(std::uint64_t now) const noexcept;

  const Slots& slots_;
  const Listeners& listeners_;
  const HandleTable& handles_;
  CoverPlan plan_;
  std::set<int> still_;
  std::set<int> full_;
};

}  // namespace pronghorn::supervisor
