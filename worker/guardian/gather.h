// Gathers from the ledger what goes with a connection to another worker.
#pragma once

#include <optional>

#include "worker/guardian/handoff/handoff.h"
#include "worker/guardian/verdict.h"
#include "worker/net/ledger/ledger.h"

namespace pronghorn::worker {

struct Gathered {
  HandoffRecord record;
  Handed handed;
  // The descriptors that were made for this, to be dropped once the message is sent.
  Handed made = {};
};

// For a connection that moves, by the descriptor `fd`. Empty if the ledger does not have all that it needs. The views
// are of static memory, valid until the next call. Allocates nothing.
[[nodiscard]] std::optional<Gathered> gather(const Ledger& ledger, const LedgerEntry& entry, int fd,
                                             const Verdict& verdict) noexcept;

// Sends a WebSocket to another worker as the guardian would if this worker died now: with its state, its marks, the
// bytes of its client that were not handled and the output that has not left. For a worker that lives, of one of its
// own connections, while no handler of that runs and everything written was noted.
//
// yes: close it; it is the other worker's. full: nothing has changed, try again. refused: it cannot move, or not now:
// the ledger had no room for its state, for what was read of a message, or for output.
[[nodiscard]] HandoffSent give_away(Ledger& ledger, LedgerEntry& entry, int queue) noexcept;

}  // namespace pronghorn::worker
