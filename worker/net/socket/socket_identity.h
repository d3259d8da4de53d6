// Tells whether a descriptor still is the socket that it was.
#pragma once

#include <sys/socket.h>

#include <cstdint>

namespace pronghorn::worker {

// What distinguishes a connected socket from others that had its descriptor before or will have it later: of TCP the
// address of its peer, of other sockets the kernel's number (SO_COOKIE). 0: it is not connected. Allocates nothing.
//
// The first is for an address that accept() has just returned, and saves the system call of the second; 0 for addresses
// that say nothing.
[[nodiscard]] std::uint64_t identity_of(const sockaddr_storage& peer) noexcept;
[[nodiscard]] std::uint64_t identity_of(int fd) noexcept;
// The kernel's number, also of a TCP socket. Unlike the address it stays when the peer has reset the connection.
[[nodiscard]] std::uint64_t number_of(int fd) noexcept;

// Whether the descriptor is the socket that had this identity, of either kind.
[[nodiscard]] bool has_identity(int fd, std::uint64_t identity) noexcept;

}  // namespace pronghorn::worker
