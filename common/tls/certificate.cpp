#include "common/tls/certificate.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace pronghorn {
namespace {

using BioPtr = std::unique_ptr<BIO, TlsFree>;

[[noreturn]] void refuse(const std::string& file, std::string_view why) {
  ERR_clear_error();
  throw std::runtime_error(fmt::format("{}: {}", file, why));
}

BioPtr reader_of(std::string_view bytes) {
  return BioPtr(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

// A key that needs a passphrase is noticed, not asked for on the terminal.
int note_passphrase(char*, int, int, void* asked) noexcept {
  *static_cast<bool*>(asked) = true;
  return -1;
}

void load_key(LoadedCertificate& loaded, std::string_view pem) {
  auto key = parse_key(pem);
  if (!key) {
    refuse(loaded.file, key.error() == KeyError::encrypted
                            ? "its private key is encrypted; give the key without a passphrase"
                            : "its private key is not one in PEM format");
  }
  loaded.key = std::move(*key);
  if (X509_check_private_key(loaded.leaf.get(), loaded.key.get()) != 1) {
    refuse(loaded.file, "the private key is not that of this certificate");
  }
  loaded.key_kind = EVP_PKEY_get_base_id(loaded.key.get());
}

void check_validity(const LoadedCertificate& loaded) {
  const ASN1_TIME* const until = X509_get0_notAfter(loaded.leaf.get());
  const ASN1_TIME* const from = X509_get0_notBefore(loaded.leaf.get());
  if (X509_cmp_current_time(until) <= 0) refuse(loaded.file, "the certificate expired on " + tls_time_text(until));
  if (X509_cmp_current_time(from) > 0) {
    refuse(loaded.file,
           fmt::format("the certificate is not valid before {}; is the clock right?", tls_time_text(from)));
  }
}

std::string lower_text(const ASN1_STRING* text) {
  const auto* const bytes = reinterpret_cast<const char*>(ASN1_STRING_get0_data(text));
  std::string name(bytes, static_cast<std::size_t>(ASN1_STRING_length(text)));
  std::ranges::transform(name, name.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return name;
}

// The DNS names; without any, the common name, as clients of old did it.
std::vector<std::string> names_of(X509* leaf) {
  std::vector<std::string> names;
  auto* const alternatives =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(alternatives, i);
    if (name->type == GEN_DNS) names.push_back(lower_text(name->d.dNSName));
  }
  GENERAL_NAMES_free(alternatives);
  if (!names.empty()) return names;
  const X509_NAME* const subject = X509_get_subject_name(leaf);
  const int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (index >= 0) names.push_back(lower_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index))));
  return names;
}

// The earliest time at which an answer in it stops being valid.
std::time_t valid_until(OCSP_BASICRESP* basic) {
  std::time_t earliest = 0;
  for (int i = 0; i < OCSP_resp_count(basic); ++i) {
    ASN1_GENERALIZEDTIME* next = nullptr;
    OCSP_single_get0_status(OCSP_resp_get0(basic, i), nullptr, nullptr, nullptr, &next);
    std::tm parts{};
    if (next == nullptr || ASN1_TIME_to_tm(next, &parts) != 1) continue;
    const std::time_t time = ::timegm(&parts);
    if (earliest == 0 || time < earliest) earliest = time;
  }
  return earliest;
}

void load_staple(LoadedCertificate& loaded, const std::string& der) {
  if (der.empty()) return;
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  OCSP_RESPONSE* const response = d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(der.size()));
  if (response == nullptr) refuse(loaded.file, "its OCSP response is not one in DER format");
  OCSP_BASICRESP* const basic = OCSP_response_get1_basic(response);
  const int status = OCSP_response_status(response);
  OCSP_RESPONSE_free(response);
  if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL || basic == nullptr) {
    refuse(loaded.file, fmt::format("its OCSP response is not an answer ({})", OCSP_response_status_str(status)));
  }
  loaded.staple = der;
  loaded.staple_until = valid_until(basic);
  OCSP_BASICRESP_free(basic);
}

}  // namespace

std::string take_tls_error() {
  const unsigned long error = ERR_peek_error();
  ERR_clear_error();
  const char* const reason = ERR_reason_error_string(error);
  return reason != nullptr ? reason : "unknown error";
}

std::string tls_time_text(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "a time that cannot be read";
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

X509ChainPtr parse_certificates(std::string_view pem) {
  X509ChainPtr all(sk_X509_new_null());
  const BioPtr reader = reader_of(pem);
  while (X509* const each = PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr)) sk_X509_push(all.get(), each);
  // What ends the last one is that nothing follows.
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_end) all.reset(sk_X509_new_null());
  return all;
}

std::expected<KeyPtr, KeyError> parse_key(std::string_view pem) {
  bool encrypted = false;
  KeyPtr key(PEM_read_bio_PrivateKey(reader_of(pem).get(), nullptr, note_passphrase, &encrypted));
  ERR_clear_error();
  if (key) return key;
  return std::unexpected(encrypted ? KeyError::encrypted : KeyError::no_pem);
}

LoadedCertificate load_certificate(const TlsCertificate& from, bool check_dates) {
  LoadedCertificate loaded;
  loaded.file = from.file;
  ERR_clear_error();
  loaded.issuers = parse_certificates(from.chain);
  loaded.leaf.reset(sk_X509_shift(loaded.issuers.get()));
  if (loaded.leaf == nullptr) {
    refuse(loaded.file, "no certificate in PEM format; expected the server's certificate, then its issuers");
  }
  load_key(loaded, from.key);
  if (check_dates) check_validity(loaded);
  loaded.names = names_of(loaded.leaf.get());
  load_staple(loaded, from.staple);
  return loaded;
}

}  // namespace pronghorn
