// What all TLS connections of a client share: whom it trusts, and the certificate that it shows.
#pragma once

#include <openssl/ssl.h>

#include <expected>
#include <memory>
#include <string>

namespace pronghorn {

// Contents of PEM files, not their paths.
struct TlsClientCredentials {
  std::string ca;           // the authorities that are trusted; empty: those of the system
  std::string certificate;  // of the client, then those of intermediate authorities; empty: none
  std::string key;          // of the client's certificate; empty: `certificate` has it as well
};

struct TlsCredentialError {
  enum class Part { ca, certificate, key };
  Part part;
  std::string why;  // names no content
};

// TLS 1.2 and 1.3. A server must show a certificate of a trusted authority for the name by which it is reached; there is
// no way to do without.
//
// Context: any thread, once it is made.
class TlsClientContext {
 public:
  // An encrypted key is an error, because nobody could be asked for its password.
  [[nodiscard]] static std::expected<std::shared_ptr<const TlsClientContext>, TlsCredentialError> make(
      const TlsClientCredentials& credentials);

  [[nodiscard]] SSL_CTX* native() const noexcept { return context_.get(); }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  };
  explicit TlsClientContext(SSL_CTX* context) noexcept : context_(context) {}

  std::unique_ptr<SSL_CTX, Free> context_;
};

}  // namespace pronghorn
