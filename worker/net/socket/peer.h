// The other end of a connection: a client or a proxy.
#pragma once

#include <sys/socket.h>

#include <optional>

#include "common/config/networks.h"
#include "pronghorn/request.h"

namespace pronghorn::worker {

struct TlsFacts;

// Shared by all requests of the connection.
struct Peer {
  [[no_unique_address]] Request::Client client;  // its padding has what follows: each idle connection has a Peer
  bool loopback = false;                         // or a Unix socket
  bool https = false;                            // the connection is over TLS
  bool unix_socket = false;                      // what the connection is, whoever the client behind a proxy may be
  bool sends_forwarded = false;                  // the Forwarded of a trusted proxy is believed, not its X-Forwarded-*
  const TlsFacts* tls = nullptr;                 // null: there is no TLS. Lives as long as the connection
  const Networks* trusted_proxies = nullptr;     // all trusted proxies if the peer is one of them, otherwise null
};

// `address`: what accept() or getpeername() says. IPv4 addresses that are mapped into IPv6 become IPv4 again.
[[nodiscard]] std::optional<IpAddress> ip_of(const sockaddr_storage& address) noexcept;  // empty: of a Unix socket
[[nodiscard]] Peer peer_of(const sockaddr_storage& address, bool is_unix);

}  // namespace pronghorn::worker
