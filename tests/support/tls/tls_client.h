// A small blocking HTTPS client.
//
// Context: any thread, but one object in one thread at a time. Every wait has a deadline.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "support/clients/address.h"
#include "support/tls/issued.h"

namespace pronghorn::test {

struct SslSessionFree {
  void operator()(SSL_SESSION* session) const noexcept { SSL_SESSION_free(session); }
};
using TlsSession = std::shared_ptr<SSL_SESSION>;

struct TlsOptions {
  std::string trust{};                  // PEM of the authorities; empty: any certificate will do
  std::string name = "localhost";       // asked for (SNI), and checked if there is `trust`
  const Issued* certificate = nullptr;  // of the client
  TlsSession session{};                 // to resume; null: none
  std::string ciphers{};                // of TLS 1.3; empty: OpenSSL's
  std::uint8_t max_fragment = 0;        // TLSEXT_max_fragment_length_512 and so on; 0: none is asked for
  int version = 0;                      // TLS1_2_VERSION, TLS1_3_VERSION; 0: the newest
};

class TlsConnection {
 public:
  // Connects and does the handshake. Throws std::runtime_error with the reason. A server of TLS 1.3 may refuse the
  // client's certificate only after that: then get() throws.
  explicit TlsConnection(const Address& address, const TlsOptions& options = {});
  TlsConnection(const TlsConnection&) = delete;
  TlsConnection& operator=(const TlsConnection&) = delete;
  ~TlsConnection();

  struct Response {
    int status = 0;
    std::string head;
    std::string body;
    bool closes = false;  // "Connection: close"
  };
  // Sends a GET and reads the response, whose body must have a Content-Length. Throws std::runtime_error.
  Response get(std::string_view target);

  // Waits for bytes, for up to 20 s. Whether the end of the connection comes in their place.
  [[nodiscard]] bool ends();

  [[nodiscard]] bool resumed() const noexcept;
  // The common name in the server's certificate.
  [[nodiscard]] std::string server_name() const;
  // Of a connection that has had a response; null: the server gives no tickets.
  [[nodiscard]] TlsSession session() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// Waits until new connections meet a certificate with this common name, ten in a row: when a reload has ended, a worker
// that has just been told to drain may accept one more. False if that takes longer than 20 s.
[[nodiscard]] bool wait_served_name(const Address& address, const std::string& name);

}  // namespace pronghorn::test
