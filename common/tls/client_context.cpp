#include "common/tls/client_context.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include <new>

#include "common/tls/certificate.h"

namespace pronghorn {
namespace {

using Part = TlsCredentialError::Part;

constexpr const char* kNoCertificate = "no certificates in PEM format, or one of them is incomplete";

const char* why_no_key(KeyError error) noexcept {
  return error == KeyError::encrypted ? "the key is encrypted; store it without a password, readable only for its user"
                                      : "it holds no private key in PEM format";
}

std::string trust(SSL_CTX* context, const std::string& text) {
  if (text.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) == 1) return {};
    ERR_clear_error();
    return "the authorities of the system cannot be used";
  }
  const X509ChainPtr certificates = parse_certificates(text);
  if (sk_X509_num(certificates.get()) == 0) return kNoCertificate;
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (int i = 0; i < sk_X509_num(certificates.get()); ++i) {
    if (X509_STORE_add_cert(store, sk_X509_value(certificates.get(), i)) != 1) throw std::bad_alloc();
  }
  return {};
}

std::expected<void, TlsCredentialError> show(SSL_CTX* context, const TlsClientCredentials& credentials) {
  const X509ChainPtr certificates = parse_certificates(credentials.certificate);
  if (sk_X509_num(certificates.get()) == 0) {
    return std::unexpected(TlsCredentialError{Part::certificate, kNoCertificate});
  }
  const auto key = parse_key(credentials.key.empty() ? credentials.certificate : credentials.key);
  if (!key) return std::unexpected(TlsCredentialError{Part::key, why_no_key(key.error())});
  X509* own = sk_X509_value(certificates.get(), 0);
  const bool fits = X509_check_private_key(own, key->get()) == 1;
  ERR_clear_error();
  if (!fits) return std::unexpected(TlsCredentialError{Part::key, "the key does not belong to the certificate"});
  if (SSL_CTX_use_certificate(context, own) != 1 || SSL_CTX_use_PrivateKey(context, key->get()) != 1) {
    ERR_clear_error();
    return std::unexpected(
        TlsCredentialError{Part::certificate, "OpenSSL refuses it: its key or signature is too weak"});
  }
  for (int i = 1; i < sk_X509_num(certificates.get()); ++i) {
    if (SSL_CTX_add1_chain_cert(context, sk_X509_value(certificates.get(), i)) != 1) throw std::bad_alloc();
  }
  return {};
}

}  // namespace

std::expected<std::shared_ptr<const TlsClientContext>, TlsCredentialError> TlsClientContext::make(
    const TlsClientCredentials& credentials) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  if (context == nullptr) throw std::bad_alloc();
  std::shared_ptr<const TlsClientContext> made(new TlsClientContext(context));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_read_ahead(context, 1);  // fewer calls per record: everything comes from memory
  if (const std::string why = trust(context, credentials.ca); !why.empty()) {
    return std::unexpected(TlsCredentialError{Part::ca, why});
  }
  if (credentials.certificate.empty()) return made;
  if (auto shown = show(context, credentials); !shown) return std::unexpected(std::move(shown.error()));
  return made;
}

}  // namespace pronghorn
