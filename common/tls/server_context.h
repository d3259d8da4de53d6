// What a TLS server needs to know for every handshake: certificates, protocol versions, ciphers, session tickets.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/tls/certificate.h"
#include "common/tls/credentials.h"
#include "common/tls/ticket_keys.h"

namespace pronghorn {

struct SslFree {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
using SslPtr = std::unique_ptr<SSL, SslFree>;

// Mozilla's "intermediate" profile (version 5.7, server side TLS): TLS 1.2 and 1.3, ephemeral key exchange and
// authenticated encryption only, X25519, P-256 and P-384; of the ciphers that both sides have, the client's first one,
// because it knows whether its processor has AES. Without the profile's three DHE suites: no client needs them that has
// TLS 1.2, and a key exchange costs the server many times as much as the client (CVE-2002-20001).
// No renegotiation, no compression, no early data (it can be replayed), no session cache: sessions are resumed by
// tickets, which any worker can open.
//
// The certificate is chosen by the name that the client asks for (SNI). Certificates of one name with keys of different
// kinds (ECDSA and RSA) stand side by side, and the client's algorithms decide between them. A client that asks for no
// name, or for one that fits none, gets the first certificate.
//
// Runs in: worker, for connections; supervisor, to refuse bad files when it starts or reloads.
class TlsServerContext {
 public:
  struct Options {
    bool http2 = false;                   // offer "h2" beside "http/1.1" (ALPN, RFC 7301)
    const TicketKeys* tickets = nullptr;  // must outlive the context; null: no session is resumed
    // Whether a certificate that has expired, or is not valid yet, is an error. Not in workers: one that is replaced
    // when its certificate has just expired must start all the same.
    bool check_dates = false;
    // Is told the secrets of each connection: see SSL_CTX_set_keylog_callback(). Null: nobody is.
    void (*log_secret)(const SSL* ssl, const char* line) = nullptr;
  };

  // Throws std::runtime_error with one line that names the file and what is wrong. `credentials` need not be kept.
  TlsServerContext(const TlsCredentials& credentials, const Options& options);
  TlsServerContext(const TlsServerContext&) = delete;
  TlsServerContext& operator=(const TlsServerContext&) = delete;
  ~TlsServerContext();

  // For a new connection. Null: there is no memory.
  [[nodiscard]] SslPtr new_connection() const noexcept;

  // Whether clients are asked for certificates.
  [[nodiscard]] bool asks_clients() const noexcept { return client_ != TlsClientCertificates::off; }

 private:
  using ContextPtr = std::unique_ptr<SSL_CTX, SslFree>;
  using Chosen = std::vector<std::size_t>;  // certificates: at most one per kind of key

  void add_for_name(const std::string& name, Chosen& chosen) const;
  [[nodiscard]] SSL_CTX* context_of(const Chosen& chosen, const Options& options);
  [[nodiscard]] ContextPtr make_context(const Chosen& chosen, const Options& options) const;
  void use_certificate(SSL_CTX* context, const LoadedCertificate& certificate) const;
  void ask_clients(SSL_CTX* context) const;
  [[nodiscard]] SSL_CTX* find(std::string_view host) const;

  // Callbacks of OpenSSL.
  static int on_server_name(SSL* ssl, int* alert, void* self) noexcept;
  static int on_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                     unsigned in_size, void* self) noexcept;
  static int on_status(SSL* ssl, void* self) noexcept;
  static int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                       int encrypt) noexcept;
  static SSL_TICKET_RETURN on_session(SSL* ssl, SSL_SESSION* session, const unsigned char* name, std::size_t size,
                                      SSL_TICKET_STATUS status, void* self) noexcept;

  std::vector<LoadedCertificate> certificates_;
  std::string client_ca_;
  TlsClientCertificates client_;
  const TicketKeys* tickets_;
  bool http2_;
  std::map<Chosen, ContextPtr> contexts_;
  std::map<std::string, SSL_CTX*, std::less<>> by_name_;
  SSL_CTX* default_ = nullptr;
};

}  // namespace pronghorn
