// Writes what the supervisor knows about slots to the scoreboard, for /status and the other processes.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>

#include "common/ipc/scoreboard.h"
#include "supervisor/listen/listeners.h"
#include "supervisor/slots/slots.h"

namespace pronghorn::supervisor {

class SlotPublisher {
 public:
  // All must outlive this.
  SlotPublisher(Scoreboard& board, const Slots& slots, const Listeners& listeners)
      : board_(board), slots_(slots), listeners_(listeners) {}

  // Writes the slot's row. Does nothing for the admin slot, which would be listed among the workers.
  void publish(std::uint32_t slot, std::uint64_t now) noexcept;
  // Writes the rows of all slots, the distributor's included, and how many workers' slots are in use.
  void publish_all(std::uint64_t now) noexcept;

 private:
  Scoreboard& board_;
  const Slots& slots_;
  const Listeners& listeners_;
};

}  // namespace pronghorn::supervisor
