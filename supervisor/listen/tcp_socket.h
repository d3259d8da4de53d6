// Sockets of listeners. Errors are one line that says what to change.
#pragma once

#include <expected>
#include <string>

#include "common/fd.h"
#include "supervisor/listen/socket_address.h"

namespace pronghorn::supervisor {

// What to do about an errno of bind() or listen().
[[nodiscard]] std::string explain(int error);
// A TCP socket that is bound and does not listen yet.
[[nodiscard]] std::expected<Fd, std::string> bound_socket(const SocketAddress& address, bool reuse_port);
// Reserves the address for this process, for as long as the descriptor is open. `address` is an IP address.
[[nodiscard]] std::expected<Fd, std::string> claim(const SocketAddress& address);
[[nodiscard]] bool is_listening(int fd) noexcept;
// Of a listener; accepted sockets inherit them, which saves a system call each. TCP_NODELAY, and SO_OOBINLINE: bytes
// that are sent as urgent are read like others, so that positions in the connection are the kernel's
// (worker/net/ledger/ledger.h).
void set_connection_options(int fd) noexcept;

}  // namespace pronghorn::supervisor
