// What trusted proxies say about the client: X-Forwarded-For, -Proto and -Host, or Forwarded (RFC 7239).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/config/networks.h"
#include "pronghorn/request.h"
#include "worker/fields/request_head.h"

namespace pronghorn::worker {

// Which fields are believed. A proxy sets the fields of one family and passes the others on as the client wrote them.
enum class ForwardingFields : std::uint8_t {
  x_forwarded,  // X-Forwarded-For, -Proto and -Host
  forwarded,    // Forwarded
};

// Empty where no trusted proxy named it.
struct Forwarding {
  Client client = {};            // an address, "unknown", or the name that a proxy gave its client ("_hidden")
  std::string_view scheme = {};  // "http" or "https"
  std::string host = {};         // with its port, if any
  bool both_families = false;    // the request has fields of both families: nothing is believed
};

// Reads the forwarding fields of a request that came from a trusted proxy.
//
// Each proxy appends what it saw, so lists are read from right to left: the peer wrote the last element, and an element
// is believed if the one to its right names a trusted proxy. The first address that is not a trusted proxy is the
// client; anything to the left of it may be forged. A malformed element ends the list. Scheme and host are those that
// the leftmost believed proxy reported.
//
// Believes nothing if the request has fields of both families: the client wrote one of them, because proxies append to
// one family only, and a proxy that passes on what a client wrote may be configured for either.
[[nodiscard]] Forwarding read_forwarding(const RequestHead& head, const Networks& trusted, ForwardingFields believed);

}  // namespace pronghorn::worker
