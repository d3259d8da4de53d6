// Who the application has found the client of a request to be, by something else than Authorization or its session: what
// keeps responses for later requests asks for it.
#pragma once

#include <string>

#include "pronghorn/client_certificate.h"
#include "pronghorn/request.h"
#include "worker/exchange/exchange.h"
#include "worker/net/socket/tls_facts.h"

namespace pronghorn::worker {

// Attached to a request for which the application has verified a token or looked at the client's certificate.
struct ClientIdentity {
  std::string token;  // whose token it has sent as a cookie or in its body; empty: none was verified
};

// That of the request, which has one from now on.
inline ClientIdentity& identify(Request& request) {
  ClientIdentity* const known = request.attachment<ClientIdentity>();
  return known != nullptr ? *known : request.attach(ClientIdentity());
}

// The certificate that the client of the connection has shown; null if it has not. Does not count as looking at it.
[[nodiscard]] inline const ClientCertificate* certificate_of(const Request& request) noexcept {
  const Peer* const peer = request.exchange().peer;
  return peer != nullptr && peer->tls != nullptr ? peer->tls->certificate.get() : nullptr;
}

}  // namespace pronghorn::worker
