// The server's end of a TLS connection, without a socket.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/tls/server_context.h"
#include "support/tls/issued.h"
#include "support/tls/memory_client.h"

namespace pronghorn::test {

inline TlsCertificate file_of(const Issued& issued, std::string file = "a.pem") {
  return {.file = std::move(file), .chain = issued.certificate, .key = issued.key, .staple = {}};
}

inline TlsCredentials credentials_of(std::vector<TlsCertificate> certificates) {
  return {.certificates = std::move(certificates), .client_ca = {}, .client = TlsClientCertificates::off};
}

class TestTlsServer {
 public:
  explicit TestTlsServer(const TlsServerContext& context) : ssl_(context.new_connection()) {
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  }
  // What it says to that.
  std::string answer(std::string_view bytes) {
    if (!bytes.empty()) BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
    SSL_do_handshake(ssl_.get());
    char* out = nullptr;
    const long size = BIO_get_mem_data(SSL_get_wbio(ssl_.get()), &out);
    std::string all(out, static_cast<std::size_t>(size));
    static_cast<void>(BIO_reset(SSL_get_wbio(ssl_.get())));
    return all;
  }

 private:
  SslPtr ssl_;
};

// Until both have nothing more to say.
inline void shake_hands(const TlsServerContext& context, MemoryClient& client) {
  TestTlsServer server(context);
  for (std::string sent = client.sends(); !sent.empty(); sent = client.sends()) client.receives(server.answer(sent));
  static_cast<void>(client.read());  // the tickets of TLS 1.3, alerts
}

}  // namespace pronghorn::test
