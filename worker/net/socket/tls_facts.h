// What is known of a TLS connection once its handshake is done.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "pronghorn/client_certificate.h"

namespace pronghorn::worker {

// Shared by all requests of the connection.
struct TlsFacts {
  bool http2 = false;  // the client and the server have agreed on it (ALPN)
  bool resumed = false;
  std::string_view version;  // "TLSv1.3"; valid for ever
  std::string_view cipher;   // "TLS_AES_128_GCM_SHA256"; the same
  // What the client has presented and was verified; null: nothing.
  std::unique_ptr<const ClientCertificate> certificate;
};

}  // namespace pronghorn::worker
