// Who is at the other end of a connection.
#pragma once

#include "common/config/networks.h"
#include "pronghorn/request.h"

namespace pronghorn::worker {

// Shared by all requests of the connection.
struct Peer {
  Client client;
  bool loopback = false;  // or a Unix socket
  bool https = false;
  const Networks* trusted_proxies = nullptr;  // all of them, when the peer is one; null when it is none
};

}  // namespace pronghorn::worker
