#include "supervisor/tls/certificate_facts.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <stdexcept>
#include <utility>

#include "common/log_format.h"
#include "common/tls/certificate.h"

namespace pronghorn::supervisor {
namespace {

std::int64_t seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<std::int64_t>(::timegm(&parts)) : 0;
}

// Names go to logs and terminals.
std::string visible(std::string text) {
  for (char& c : text) {
    if (c <= ' ' || c > '~') c = '?';
  }
  return text;
}

std::string address_text(const ASN1_OCTET_STRING& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int size = ASN1_STRING_length(&address);
  if (size != 4 && size != 16) return "?";
  ::inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(&address), text.data(), text.size());
  return text.data();
}

void add_addresses(X509* certificate, std::vector<std::string>& names) {
  auto* const alternatives =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); ++i) {
    const GENERAL_NAME* const each = sk_GENERAL_NAME_value(alternatives, i);
    if (each->type == GEN_IPADD) names.push_back(address_text(*each->d.iPAddress));
  }
  GENERAL_NAMES_free(alternatives);
}

void doubt_chain(const LoadedCertificate& loaded, CertificateFacts& facts) {
  const int issuers = sk_X509_num(loaded.issuers.get());
  if (issuers == 0 && X509_self_signed(loaded.leaf.get(), 0) != 1) {
    facts.doubts.push_back(
        fmt::format("{}: it holds no intermediate certificate, without which most clients do not trust it; use the "
                    "full chain (certbot's fullchain.pem)",
                    facts.file));
  }
  X509* signed_one = loaded.leaf.get();
  for (int i = 0; i < issuers; ++i) {
    X509* const issuer = sk_X509_value(loaded.issuers.get(), i);
    if (X509_check_issued(issuer, signed_one) != X509_V_OK) {
      facts.doubts.push_back(
          fmt::format("{}: certificate {} in it has not signed the one before it; some clients do not trust a chain in "
                      "another order",
                      facts.file, i + 2));
      return;
    }
    signed_one = issuer;
  }
}

}  // namespace

std::string utc_text(std::int64_t seconds) { return rfc3339(static_cast<long long>(seconds)); }

bool has_private_key(std::string_view pem) noexcept { return pem.find("PRIVATE KEY-----") != std::string_view::npos; }

std::string names_text(const CertificateFacts& facts, std::size_t limit) {
  std::string text = fmt::format("{}", fmt::join(facts.names, ", "));
  if (text.size() > limit) text = text.substr(0, limit > 3 ? limit - 3 : 0) + "...";
  return text;
}

CertificateFacts facts_of(const TlsCertificate& certificate, bool check_dates, std::int64_t now) {
  const LoadedCertificate loaded = load_certificate(certificate, check_dates);
  CertificateFacts facts{.file = certificate.file,
                         .names = loaded.names,
                         .not_before = seconds_of(X509_get0_notBefore(loaded.leaf.get())),
                         .not_after = seconds_of(X509_get0_notAfter(loaded.leaf.get())),
                         .staple_until = static_cast<std::int64_t>(loaded.staple_until)};
  add_addresses(loaded.leaf.get(), facts.names);
  for (std::string& name : facts.names) name = visible(std::move(name));
  doubt_chain(loaded, facts);
  if (facts.staple_until != 0 && facts.staple_until <= now) {
    facts.doubts.push_back(fmt::format("{}.ocsp: is out of date since {} and is not stapled; fetch it again",
                                       facts.file, utc_text(facts.staple_until)));
  }
  ERR_clear_error();
  return facts;
}

std::int64_t renew_by(const CertificateFacts& facts) noexcept {
  constexpr std::int64_t kLongest = 14 * 24 * 3600;
  return facts.not_after - std::min(kLongest, (facts.not_after - facts.not_before) / 3);
}

void check_authorities(const std::string& file, const std::string& pem) {
  if (sk_X509_num(parse_certificates(pem).get()) > 0) return;
  throw std::runtime_error(fmt::format("{}: no certificates in PEM format, or one of them is incomplete", file));
}

}  // namespace pronghorn::supervisor
