#include "common/tls/server_context.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <utility>

namespace pronghorn {
namespace {

constexpr const char* kCiphers12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kCiphers13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kGroups = "X25519:P-256:P-384";
constexpr int kSecurityLevel = 2;  // 112 bits: RSA from 2048, no SHA-1 signatures

// Each name after its length, as in the extension.
constexpr std::string_view kHttp1 = "\x08http/1.1\x08http/1.0";
constexpr std::string_view kHttp2 = "\x02h2\x08http/1.1\x08http/1.0";

[[noreturn]] void fail(std::string_view what) {
  throw std::runtime_error(fmt::format("TLS: cannot {}: {}", what, take_tls_error()));
}

// What OpenSSL's refusal of a certificate means to whoever has to replace it.
std::string explain_refusal() {
  switch (ERR_GET_REASON(ERR_peek_error())) {
    case SSL_R_EE_KEY_TOO_SMALL:
      return "the key of the certificate is too short; use ECDSA P-256, or RSA with at least 2048 bits";
    case SSL_R_CA_KEY_TOO_SMALL:
      return "the key of one of its issuers is too short; use RSA with at least 2048 bits, or ECDSA";
    case SSL_R_CA_MD_TOO_WEAK:
      return "the certificate, or one of its issuers, is signed with SHA-1 or MD5, which clients refuse";
    default:
      return fmt::format("the certificate cannot be used: {}", ERR_reason_error_string(ERR_peek_error()));
  }
}

// Only names that could be in a certificate are looked up.
std::string lower_host(std::string_view host) {
  std::string lower(host.substr(0, 255));
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return lower;
}

std::string wildcard_of(std::string_view host) {
  const std::size_t dot = host.find('.');
  return dot == std::string_view::npos || dot == 0 ? std::string() : "*" + std::string(host.substr(dot));
}

}  // namespace

TlsServerContext::TlsServerContext(const TlsCredentials& credentials, const Options& options)
    : client_ca_(credentials.client_ca), client_(credentials.client), tickets_(options.tickets), http2_(options.http2) {
  if (credentials.certificates.empty()) throw std::runtime_error("TLS: there is no certificate");
  for (const TlsCertificate& each : credentials.certificates) {
    certificates_.push_back(load_certificate(each, options.check_dates));
  }
  for (std::size_t i = 0; i < certificates_.size(); ++i) {
    for (const std::string& name : certificates_[i].names) {
      if (by_name_.contains(name)) continue;
      Chosen chosen;
      add_for_name(name, chosen);
      add_for_name(wildcard_of(name), chosen);
      std::ranges::sort(chosen);
      by_name_.emplace(name, context_of(chosen, options));
    }
  }
  const auto& names = certificates_.front().names;
  default_ = names.empty() ? context_of({0}, options) : by_name_.at(names.front());
  // One without names, or whose names others have taken with the same kind of key, is checked too.
  for (std::size_t i = 0; i < certificates_.size(); ++i) {
    const auto has = [i](const auto& each) { return std::ranges::find(each.first, i) != each.first.end(); };
    if (std::ranges::none_of(contexts_, has)) static_cast<void>(make_context({i}, options));
  }
}

TlsServerContext::~TlsServerContext() = default;

// The first certificate of each kind of key that has the name.
void TlsServerContext::add_for_name(const std::string& name, Chosen& chosen) const {
  for (std::size_t i = 0; i < certificates_.size(); ++i) {
    const LoadedCertificate& each = certificates_[i];
    if (std::ranges::find(each.names, name) == each.names.end()) continue;
    const auto same_kind = [&](std::size_t other) { return certificates_[other].key_kind == each.key_kind; };
    if (std::ranges::none_of(chosen, same_kind)) chosen.push_back(i);
  }
}

SSL_CTX* TlsServerContext::context_of(const Chosen& chosen, const Options& options) {
  ContextPtr& context = contexts_[chosen];
  if (context == nullptr) context = make_context(chosen, options);
  return context.get();
}

TlsServerContext::ContextPtr TlsServerContext::make_context(const Chosen& chosen, const Options& options) const {
  ContextPtr owner(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* const context = owner.get();
  if (context == nullptr) fail("make a context");
  auto* const self = const_cast<TlsServerContext*>(this);  // callbacks take no pointer to const
  SSL_CTX_set_app_data(context, self);
  SSL_CTX_set_security_level(context, kSecurityLevel);
  if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 || SSL_CTX_set_max_proto_version(context, 0) != 1 ||
      SSL_CTX_set_cipher_list(context, kCiphers12) != 1 || SSL_CTX_set_ciphersuites(context, kCiphers13) != 1 ||
      SSL_CTX_set1_groups_list(context, kGroups) != 1) {
    fail("set versions and ciphers");
  }
  SSL_CTX_clear_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                     SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (tickets_ == nullptr) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
  } else {
    SSL_CTX_set_timeout(context, std::chrono::seconds(kTicketKeyKept).count());
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &on_ticket);
    SSL_CTX_set_session_ticket_cb(context, nullptr, &on_session, self);
  }
  SSL_CTX_set_tlsext_servername_callback(context, &on_server_name);
  SSL_CTX_set_tlsext_servername_arg(context, self);
  SSL_CTX_set_alpn_select_cb(context, &on_alpn, self);
  SSL_CTX_set_tlsext_status_cb(context, &on_status);
  SSL_CTX_set_tlsext_status_arg(context, self);
  for (const std::size_t index : chosen) use_certificate(context, certificates_[index]);
  ask_clients(context);
  if (options.log_secret != nullptr) SSL_CTX_set_keylog_callback(context, options.log_secret);
  return owner;
}

void TlsServerContext::use_certificate(SSL_CTX* context, const LoadedCertificate& certificate) const {
  ERR_clear_error();
  if (SSL_CTX_use_cert_and_key(context, certificate.leaf.get(), certificate.key.get(), certificate.issuers.get(), 1) ==
      1) {
    return;
  }
  const std::string why = explain_refusal();
  ERR_clear_error();
  throw std::runtime_error(fmt::format("{}: {}", certificate.file, why));
}

// Sessions of clients that were asked for another certificate are not resumed: their context is another one.
void TlsServerContext::ask_clients(SSL_CTX* context) const {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> id{};
  const std::string kind = fmt::format("{} {}", static_cast<int>(client_), client_ca_);
  SHA256(reinterpret_cast<const unsigned char*>(kind.data()), kind.size(), id.data());
  SSL_CTX_set_session_id_context(context, id.data(), id.size());
  if (!asks_clients()) return;
  const X509ChainPtr authorities = parse_certificates(client_ca_);
  if (sk_X509_num(authorities.get()) == 0) {
    throw std::runtime_error("the certificates of those who sign client certificates are not in PEM format");
  }
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  for (int i = 0; i < sk_X509_num(authorities.get()); ++i) {
    X509* const each = sk_X509_value(authorities.get(), i);
    X509_STORE_add_cert(store, each);
    SSL_CTX_add_client_CA(context, each);
  }
  ERR_clear_error();  // of certificates that are there twice
  const bool required = client_ == TlsClientCertificates::required;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
}

SslPtr TlsServerContext::new_connection() const noexcept {
  SslPtr ssl(SSL_new(default_));
  if (ssl != nullptr) SSL_set_accept_state(ssl.get());
  return ssl;
}

SSL_CTX* TlsServerContext::find(std::string_view host) const {
  const std::string name = lower_host(host);
  if (const auto exact = by_name_.find(name); exact != by_name_.end()) return exact->second;
  const auto wildcard = by_name_.find(wildcard_of(name));
  return wildcard != by_name_.end() ? wildcard->second : default_;
}

int TlsServerContext::on_server_name(SSL* ssl, int*, void* self) noexcept {
  const char* const host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (host == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_CTX* const context = static_cast<const TlsServerContext*>(self)->find(host);
  if (context != SSL_get_SSL_CTX(ssl)) SSL_set_SSL_CTX(ssl, context);
  return SSL_TLSEXT_ERR_OK;
}

int TlsServerContext::on_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                              unsigned in_size, void* self) noexcept {
  const std::string_view ours = static_cast<const TlsServerContext*>(self)->http2_ ? kHttp2 : kHttp1;
  unsigned char* chosen = nullptr;
  const int result = SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
                                           static_cast<unsigned>(ours.size()), in, in_size);
  if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

int TlsServerContext::on_status(SSL* ssl, void* self) noexcept {
  const X509* const used = SSL_get_certificate(ssl);
  for (const LoadedCertificate& each : static_cast<const TlsServerContext*>(self)->certificates_) {
    if (each.leaf.get() != used) continue;
    // A response that is not valid any more would make clients refuse a certificate that is.
    if (each.staple.empty() || (each.staple_until != 0 && each.staple_until <= std::time(nullptr))) break;
    auto* const copy = static_cast<unsigned char*>(OPENSSL_memdup(each.staple.data(), each.staple.size()));
    if (copy == nullptr) break;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(each.staple.size()));  // owns it
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

int TlsServerContext::on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                                EVP_MAC_CTX* mac, int encrypt) noexcept {
  constexpr int kNone = 0;
  constexpr int kUsable = 1;
  constexpr int kRenew = 2;
  const auto* const self = static_cast<const TlsServerContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  TicketKey key;
  bool renew = false;
  if (encrypt != 0) {
    const auto current = self->tickets_->current();
    if (!current || RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return kNone;
    key = *current;
    std::memcpy(name, key.name.data(), key.name.size());
  } else {
    const auto found = self->tickets_->find({name, TicketKey::kNameSize});
    if (!found) return kNone;
    key = found->key;
    renew = found->renew;
  }
  char digest[] = "SHA256";
  const std::array<OSSL_PARAM, 3> parameters{
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.hmac.data(), key.hmac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
  if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.aes.data(), iv, encrypt) != 1) return -1;
  if (EVP_MAC_CTX_set_params(mac, parameters.data()) != 1) return -1;
  return renew ? kRenew : kUsable;
}

// A client's certificate may have expired since the session began.
SSL_TICKET_RETURN TlsServerContext::on_session(SSL*, SSL_SESSION* session, const unsigned char*, std::size_t,
                                               SSL_TICKET_STATUS status, void*) noexcept {
  if (status == SSL_TICKET_EMPTY || status == SSL_TICKET_NO_DECRYPT) return SSL_TICKET_RETURN_IGNORE_RENEW;
  if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) return SSL_TICKET_RETURN_ABORT;
  const X509* const client = SSL_SESSION_get0_peer(session);
  const bool expired = client != nullptr && X509_cmp_current_time(X509_get0_notAfter(client)) <= 0;
  if (expired) return SSL_TICKET_RETURN_IGNORE_RENEW;
  return status == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

}  // namespace pronghorn
