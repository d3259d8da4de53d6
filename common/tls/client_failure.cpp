#include "common/tls/client_failure.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>
#include <string_view>

#include "common/tls/certificate.h"

namespace pronghorn {
namespace {

using Kind = TlsClientFailure::Kind;

constexpr std::size_t kMaxNames = 5;   // of a certificate, in a message
constexpr std::size_t kMaxText = 100;  // bytes of one of them

// What a server has sent, made printable.
std::string cleaned(std::string_view text) {
  std::string clean(text.substr(0, kMaxText));
  for (char& c : clean) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return clean;
}

std::string text_of(const ASN1_STRING* string) {
  return cleaned({reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                  static_cast<std::size_t>(ASN1_STRING_length(string))});
}

std::string common_name(const X509_NAME* name) {
  const int index = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (index >= 0) return text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
  std::array<char, 256> line{};
  X509_NAME_oneline(name, line.data(), static_cast<int>(line.size()));
  return cleaned(line.data());
}

std::string address_text(const ASN1_OCTET_STRING* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int length = ASN1_STRING_length(address);
  const int family = length == 4 ? AF_INET : AF_INET6;
  if (length != 4 && length != 16) return "?";
  return ::inet_ntop(family, ASN1_STRING_get0_data(address), text.data(), text.size()) != nullptr ? text.data() : "?";
}

// "a.example, 10.0.0.1": whom the certificate is for.
std::string shown_names(const X509* certificate) {
  const auto release = [](GENERAL_NAMES* names) { GENERAL_NAMES_free(names); };
  const std::unique_ptr<GENERAL_NAMES, decltype(release)> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)), release);
  std::string text;
  std::size_t count = 0;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    std::string one;
    if (name->type == GEN_DNS) one = text_of(name->d.dNSName);
    if (name->type == GEN_IPADD) one = address_text(name->d.iPAddress);
    if (one.empty()) continue;
    if (++count > kMaxNames) return text + ", …";
    text.append(text.empty() ? "" : ", ").append(one);
  }
  return text.empty() ? common_name(X509_get_subject_name(certificate)) : text;
}

// An alert is all that a server says about what it does not like.
TlsClientFailure alert_failure(SSL* ssl, int alert, bool was_asked) {
  const bool has_own = SSL_get_certificate(ssl) != nullptr;
  switch (alert) {
    case SSL3_AD_HANDSHAKE_FAILURE:
      if (!was_asked || has_own) return {Kind::other, "the server finds no cipher in common"};
      [[fallthrough]];
    case TLS13_AD_CERTIFICATE_REQUIRED:
      return {Kind::client_certificate, "the server requires a client certificate"};
    case SSL3_AD_BAD_CERTIFICATE:
    case SSL3_AD_UNSUPPORTED_CERTIFICATE:
    case SSL3_AD_CERTIFICATE_REVOKED:
    case SSL3_AD_CERTIFICATE_EXPIRED:
    case SSL3_AD_CERTIFICATE_UNKNOWN:
    case TLS1_AD_UNKNOWN_CA:
    case TLS1_AD_ACCESS_DENIED:
    case TLS1_AD_DECRYPT_ERROR:
      if (!has_own && alert == SSL3_AD_BAD_CERTIFICATE) {
        return {Kind::client_certificate, "the server requires a client certificate"};
      }
      return {Kind::client_certificate,
              fmt::format("the server refuses our client certificate ({})", SSL_alert_desc_string_long(alert))};
    case TLS1_AD_PROTOCOL_VERSION:
      return {Kind::other, "the server supports neither TLS 1.2 nor TLS 1.3"};
    case TLS1_AD_UNRECOGNIZED_NAME:
      return {Kind::wrong_name, "the server does not know the name that it is reached by"};
    default:
      return {Kind::other, fmt::format("the server ended TLS: {}", SSL_alert_desc_string_long(alert))};
  }
}

}  // namespace

TlsClientFailure certificate_failure_of(X509_STORE_CTX* store, const std::string& name) {
  const int error = X509_STORE_CTX_get_error(store);
  const X509* certificate = X509_STORE_CTX_get_current_cert(store);  // the one that is at fault
  if (certificate == nullptr) {
    return {Kind::bad_certificate,
            fmt::format("the server's certificate is refused: {}", X509_verify_cert_error_string(error))};
  }
  const auto from = [](const X509_NAME* authority) {
    return TlsClientFailure{
        Kind::unknown_authority,
        fmt::format("the server's certificate comes from \"{}\", which is not trusted", common_name(authority))};
  };
  const std::string whose =
      X509_STORE_CTX_get_error_depth(store) == 0
          ? "the server's certificate"
          : fmt::format("the certificate of the authority \"{}\"", common_name(X509_get_subject_name(certificate)));
  switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return {Kind::wrong_name, fmt::format("{} is for {}, not for {}", whose, shown_names(certificate), name)};
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return {Kind::expired, fmt::format("{} expired at {}", whose, tls_time_text(X509_get0_notAfter(certificate)))};
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return {Kind::expired, fmt::format("{} is not valid before {}; is the clock right?", whose,
                                         tls_time_text(X509_get0_notBefore(certificate)))};
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return {Kind::unknown_authority, "the server's certificate is self-signed and not trusted"};
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return from(X509_get_subject_name(certificate));
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return from(X509_get_issuer_name(certificate));
    default:
      return {Kind::bad_certificate, fmt::format("{} is refused: {}", whose, X509_verify_cert_error_string(error))};
  }
}

TlsClientFailure tls_failure_of(SSL* ssl, bool was_asked) {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  const int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
  if (reason >= SSL_AD_REASON_OFFSET) return alert_failure(ssl, reason - SSL_AD_REASON_OFFSET, was_asked);
  if (reason == SSL_R_UNSUPPORTED_PROTOCOL) return {Kind::other, "the server supports neither TLS 1.2 nor TLS 1.3"};
  const char* text = error != 0 ? ERR_reason_error_string(error) : nullptr;
  return {Kind::other, fmt::format("TLS failed: {}", text != nullptr ? text : "the server broke the protocol")};
}

}  // namespace pronghorn
