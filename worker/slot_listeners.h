// The listeners that this worker accepts from: those of its slot, and those of slots that it covers.
#pragma once

#include <cstdint>
#include <vector>

#include "common/ipc/handover.h"
#include "worker/server/http_server.h"

namespace pronghorn::worker {

// Context: loop thread; one per worker that accepts. `handover` and `http` must outlive this.
class SlotListeners {
 public:
  SlotListeners(const Handover& handover, HttpServer& http) noexcept : handover_(handover), http_(http) {}

  // Accepts from the listeners of this worker's own slot. Throws std::runtime_error if that is impossible.
  void listen_to_own() { listen_to(handover_.slot, false); }
  // Accepts for another slot too. `fd` is a listener of a slot that is newer than this worker, taken over; -1: the
  // slot's listeners were inherited. Logs a warning if that is impossible; the slot's clients then have to wait.
  // `is_https`: of that listener.
  void cover(std::uint32_t slot, int fd, bool is_https) noexcept;
  void uncover(std::uint32_t slot) noexcept;
  // Accepts from this Unix socket too, for all slots, and no longer from the one that it replaces. Takes the descriptor
  // over. Returns false if it has not arrived (-1), because descriptors have run out.
  [[nodiscard]] bool add_unix(int fd) noexcept;

 private:
  void listen_to(std::uint32_t slot, bool covered);

  const Handover& handover_;
  HttpServer& http_;
  std::vector<InheritedListener> lent_;  // of newer slots, while they are covered
  std::vector<int> unix_;                // Unix sockets that this worker accepts from
  bool told_ = false;                    // that one has not arrived
};

}  // namespace pronghorn::worker
