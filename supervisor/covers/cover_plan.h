// Which worker accepts for a slot that has none: bookkeeping without I/O.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace pronghorn::supervisor {

class CoverPlan {
 public:
  struct Slot {
    std::uint32_t slot = 0;
    bool needs_cover = false;  // its listeners are open and nobody accepts from them
    int ready_pid = 0;         // of the slot's ready worker; 0: none
    bool unable = false;       // the ready worker cannot accept: neither for its own slot nor for others
  };
  // A message to send.
  struct Change {
    int pid = 0;
    std::uint32_t slot = 0;
    bool cover = false;  // false: stop covering
  };

  // Takes the state of every slot and returns what has to change. A slot that needs a cover gets the ready worker that
  // covers the fewest slots. The cover ends when the slot no longer needs it, and moves to another worker when this one
  // is unable or no longer ready.
  [[nodiscard]] std::vector<Change> update(const std::vector<Slot>& slots);
  // Call if the message to cover this slot could not be sent: the next update() tries again.
  void forget(std::uint32_t slot) { covered_by_.erase(slot); }

 private:
  std::map<std::uint32_t, int> covered_by_;  // slot to pid
};

}  // namespace pronghorn::supervisor
