// What the kernel knows of a socket: how far it has come (what its owner has read and written, also when the owner is
// dead), and how long what has arrived has waited for its owner.
//
// Positions are exact: bytes written are those acknowledged plus those in the send queue, bytes read are those received
// less those in the receive queue. The peer's FIN counts as one byte received.
#pragma once

#include <chrono>
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

enum class PeerState : std::uint8_t {
  there,
  finished,  // it has shut its side down, or closed the connection: that looks the same over TCP
  gone,      // it has closed or reset the connection
};

struct SocketWait {
  std::optional<std::chrono::milliseconds>
      age;  // of the last bytes that arrived, in steps of up to 10 ms; none: unknown
  PeerState peer = PeerState::there;
};

// Of a connected stream socket. Only TCP knows the age, also of bytes that arrived while the connection waited in the
// accept queue. A system call.
[[nodiscard]] SocketWait wait_of(int fd) noexcept;

}  // namespace pronghorn::worker
