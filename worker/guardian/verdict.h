// What becomes of a dead worker's connection: decided from what the worker noted and what the kernel knows.
#pragma once

#include <cstdint>
#include <optional>

#include "worker/net/ledger.h"
#include "worker/net/socket_positions.h"

namespace pronghorn::worker {

struct Verdict {
  enum class Fate {
    moves,  // another worker goes on with it
    ends,   // it was closing already, or nobody can tell what its client still needs
  };
  Fate fate = Fate::ends;
  // moves:
  std::uint64_t answered = 0;  // bytes of the client from here on are unanswered …
  std::uint64_t read = 0;      // … up to here; the kernel has the rest
  std::uint64_t sent = 0;
};

// `positions` is empty for a Unix socket, for which only the ledger speaks. `was_reading`: Ledger::was_reading(). Without
// I/O; any content of the entry is allowed.
[[nodiscard]] Verdict judge(const LedgerEntry& entry, const std::optional<SocketPositions>& positions,
                            bool was_reading) noexcept;

}  // namespace pronghorn::worker
