// A certificate with its private key, as OpenSSL has it: parsed and checked.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cstdint>
#include <ctime>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/tls/credentials.h"

namespace pronghorn {

// Frees objects of OpenSSL.
struct TlsFree {
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
  void operator()(STACK_OF(X509) * certificates) const noexcept { sk_X509_pop_free(certificates, X509_free); }
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
using X509Ptr = std::unique_ptr<X509, TlsFree>;
using X509ChainPtr = std::unique_ptr<STACK_OF(X509), TlsFree>;
using KeyPtr = std::unique_ptr<EVP_PKEY, TlsFree>;

struct LoadedCertificate {
  std::string file;  // for messages
  X509Ptr leaf;
  X509ChainPtr issuers;  // without the leaf, as in the file
  KeyPtr key;
  int key_kind = 0;                // EVP_PKEY_RSA, EVP_PKEY_EC …
  std::vector<std::string> names;  // of hosts, in lower case; "*.example.com" too
  std::string staple;              // an OCSP response in DER; empty: none
  std::time_t staple_until = 0;    // when it stops being valid; 0: it does not say
};

// Throws std::runtime_error with one line that begins with the file: something is not PEM, the key is encrypted or not
// that of the certificate, the staple is not an OCSP response. `check_dates`: also for a certificate that is not valid
// now.
[[nodiscard]] LoadedCertificate load_certificate(const TlsCertificate& from, bool check_dates);

// All certificates in `pem`; none if there is none, or if one cannot be parsed.
[[nodiscard]] X509ChainPtr parse_certificates(std::string_view pem);

enum class KeyError : std::uint8_t { encrypted, no_pem };

// The private key in `pem`. One that needs a passphrase is an error: nobody is asked on the terminal.
[[nodiscard]] std::expected<KeyPtr, KeyError> parse_key(std::string_view pem);

// "2027-01-31 12:00:00 UTC"
[[nodiscard]] std::string tls_time_text(const ASN1_TIME* time);

// The oldest error in OpenSSL's queue, in its own words. Empties the queue.
[[nodiscard]] std::string take_tls_error();

}  // namespace pronghorn
