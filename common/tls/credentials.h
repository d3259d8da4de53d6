// Certificates and private keys as the supervisor gives them to workers: it reads the files, because workers may run as
// a user that cannot. A generation of workers keeps its credentials; a reload makes new ones.
//
// They are passed in a sealed memfd, never on a command line, in the environment or in a log.
#pragma once

#include <string>
#include <vector>

namespace pronghorn {

// One certificate with its private key.
struct TlsCertificate {
  std::string file;    // where the chain was read from, for messages
  std::string chain;   // PEM, the server's own certificate first
  std::string key;     // PEM, without a passphrase
  std::string staple;  // an OCSP response in DER (RFC 6066 section 8); empty: none
};

enum class TlsClientCertificates {
  off,       // clients are not asked for a certificate
  optional,  // one that a client presents must verify; clients may present none
  required,  // a handshake without a certificate that verifies fails
};

struct TlsCredentials {
  std::vector<TlsCertificate> certificates;  // the first is the default, for clients whose server name fits none
  std::string client_ca;                     // PEM: who signs client certificates; empty when `client` is off
  TlsClientCertificates client = TlsClientCertificates::off;
};

// Overwrites the private keys with zeros and makes them empty. Call it as soon as they have been parsed.
void wipe_keys(TlsCredentials& credentials) noexcept;

// Supervisor: returns a sealed memfd, close-on-exec, which the caller closes. Any number of workers may read it. Throws
// std::system_error, or std::length_error above kMaxTlsCredentials.
[[nodiscard]] int write_tls_credentials(const TlsCredentials& credentials);

// Worker: reads the memfd, whatever its position is, and leaves it open. Trusts nothing in it. Throws
// std::runtime_error if write_tls_credentials() of this build has not written it.
[[nodiscard]] TlsCredentials read_tls_credentials(int fd);

inline constexpr std::size_t kMaxTlsCredentials = std::size_t{64} << 20;  // bytes, of everything together

}  // namespace pronghorn
