// Why a TLS connection failed, for people and for those who decide what to do about it.
#pragma once

#include <openssl/ssl.h>

#include <string>

namespace pronghorn {

struct TlsClientFailure {
  enum class Kind {
    none,
    unknown_authority,   // no trusted authority has signed the certificate
    wrong_name,          // the certificate is for others
    expired,             // a certificate of the chain is not valid now
    bad_certificate,     // another fault of the certificate
    client_certificate,  // the server requires one of the client, or refuses ours
    not_tls,             // the server speaks something else
    other,
  };
  Kind kind = Kind::none;
  std::string text;  // one clause: what is wrong with whose certificate; printable, whatever the server sent
};

// Why the server's certificate is refused: for a verify callback. `name`: whom it must name.
[[nodiscard]] TlsClientFailure certificate_failure_of(X509_STORE_CTX* store, const std::string& name);

// Why the last call on a client's `ssl` failed. `was_asked`: whether the server has asked for the client's certificate.
// Empties the thread's queue of OpenSSL's errors.
[[nodiscard]] TlsClientFailure tls_failure_of(SSL* ssl, bool was_asked);

}  // namespace pronghorn
