// Which worker accepts for a slot that has none: bookkeeping without I/O.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace pronghorn::supervisor {

class Covers {
 public:
  struct Slot {
    std::uint32_t slot = 0;
    bool needs_cover = false;  // connections arrive in its queues and nobody takes them
    int ready_pid = 0;         // of the worker that serves it; 0: none
  };
  // What a worker has to be told.
  struct Change {
    int pid = 0;
    std::uint32_t slot = 0;
    bool cover = false;  // false: uncover
  };

  // Takes every slot and answers what has changed since the last call. Each uncovered slot goes to the ready worker
  // that covers fewest; a cover ends when the slot needs none, and moves when its worker is not ready any more.
  [[nodiscard]] std::vector<Change> update(const std::vector<Slot>& slots);
  // The message for the slot could not be sent: the next update tries again.
  void forget(std::uint32_t slot) { covered_by_.erase(slot); }

 private:
  std::map<std::uint32_t, int> covered_by_;
};

}  // namespace pronghorn::supervisor
