// How far a socket has come: what its owner has read and written, as the kernel knows it, also when the owner is dead.
//
// Exact: bytes written are those acknowledged plus those in the send queue, bytes read are those received less those in
// the receive queue. The peer's FIN counts as one byte received.
#pragma once

#include <cstdint>
#include <optional>

namespace pronghorn::worker {

struct SocketPositions {
  std::uint64_t read = 0;     // bytes since the connection began
  std::uint64_t written = 0;  // the same
  bool peer_closed = false;   // the peer has shut its side down: nothing comes after what is in the queue
  bool broken = false;        // reset, or shut down by its owner: nothing can be sent any more
};

// Of a connected TCP socket. Empty for any other descriptor (Unix sockets have no counters). Any process that has the
// descriptor may ask; no privilege is needed, nothing is allocated, bytes may arrive meanwhile.
[[nodiscard]] std::optional<SocketPositions> positions_of(int fd) noexcept;

}  // namespace pronghorn::worker
