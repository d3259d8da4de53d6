// What trusted proxies say of the client: Forwarded (RFC 7239), or X-Forwarded-For, -Proto and -Host.
#pragma once

#include <string>
#include <string_view>

#include "common/config/networks.h"
#include "pronghorn/request.h"
#include "worker/fields/request_head.h"

namespace pronghorn::worker {

// Each is empty when no trusted proxy has said it.
struct Forwarding {
  Client client;            // an address, "unknown", or the name that a proxy gave its client ("_hidden")
  std::string_view scheme;  // "http" or "https"
  std::string host;         // with its port, if it has one
};

// For a request that came from a trusted proxy. Every proxy appends what it saw, so the lists are read from the right:
// the last element was written by the peer, and the one before it is believed when the last names a trusted proxy as
// its client. The first that does not is the client; what stands left of it could be anything. A malformed element ends
// the reading, too. Scheme and host are those of the leftmost proxy that is believed. X-Forwarded-* is not looked at
// when there is a Forwarded field.
[[nodiscard]] Forwarding read_forwarding(const RequestHead& head, const Networks& trusted);

}  // namespace pronghorn::worker
