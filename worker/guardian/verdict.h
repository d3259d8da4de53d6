// What becomes of a dead worker's connection: decided from what the worker noted and what the kernel knows.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "worker/net/ledger/ledger.h"
#include "worker/net/socket/socket_positions.h"

namespace pronghorn::worker {

struct Verdict {
  enum class Fate {
    moves,  // another worker goes on with it
    ends,   // it was closing already, or nobody can tell what its client still needs
  };
  Fate fate = Fate::ends;
  bool owes = false;  // a response or the rest of one, as far as that is known
  // moves:
  std::uint64_t answered = 0;     // bytes of the client from here on are unanswered …
  std::uint64_t read = 0;         // … up to here; the kernel has the rest
  std::uint64_t sent = 0;         // bytes of the server's that the kernel has taken; it owes the client those …
  std::uint64_t owed_until = 0;   // … up to here
  bool ends = false;              // and nothing after them
  Begun begun = Begun::no;        // unanswered requests or messages that begin …
  std::uint64_t begun_until = 0;  // … before this; kCloseBegun: the close handler
  // A WebSocket: what it owes is never cut, and its client may have gone.
  bool socket = false;
  bool closing = false;    // its close handler has begun; it needs no byte of the client any more
  bool truncated = false;  // an earlier worker's death had taken a part of a message with it
};

// What the ledger says beside the entry.
struct LastMoments {
  bool was_reading = false;  // Ledger::was_reading()
  bool guilty = false;       // Ledger::is_guilty()
};

// How far the connection of this descriptor has come, in the positions of the ledger. Empty: nobody knows. Of one that
// the kernel encrypts, what was read is not known while a read was under way.
[[nodiscard]] std::optional<SocketPositions> ledger_positions(const Ledger& ledger, const LedgerEntry& entry, int fd,
                                                              LastMoments moments) noexcept;

// `positions` is empty for a Unix socket, for which only the ledger speaks. Without I/O; any content of the entry is
// allowed.
[[nodiscard]] Verdict judge(const LedgerEntry& entry, const std::optional<SocketPositions>& positions,
                            LastMoments moments) noexcept;

// Whether running the request a second time does no harm: its method is idempotent by RFC 9110 section 9.2.2 and known.
// `request` is the beginning of its bytes.
[[nodiscard]] bool may_repeat(std::string_view request) noexcept;

// Whether an idempotent() route runs the request again: a POST or PATCH with an Idempotency-Key in its head.
[[nodiscard]] bool may_repeat_under_key(std::string_view request) noexcept;

}  // namespace pronghorn::worker
