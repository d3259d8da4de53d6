#include "worker/tls/peer_certificate.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <memory>
#include <string_view>
#include <utility>

namespace pronghorn::worker {
namespace {

std::string name_text(const X509_NAME* name) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), &BIO_free);
  // As RFC 4514 has it, which RFC 2253 became; letters that are not ASCII stay readable.
  constexpr unsigned long kFlags = XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB);
  X509_NAME_print_ex(out.get(), name, 0, kFlags);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out.get(), &bytes);
  return size > 0 ? std::string(bytes, static_cast<std::size_t>(size)) : std::string();
}

std::string serial_text(const ASN1_INTEGER* serial) {
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(ASN1_INTEGER_to_BN(serial, nullptr), &BN_free);
  char* const hex = number != nullptr ? BN_bn2hex(number.get()) : nullptr;
  std::string text(hex != nullptr ? hex : "");
  OPENSSL_free(hex);
  return text;
}

std::string fingerprint_of(const X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  std::string text;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1) return text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string_view text_of(const ASN1_STRING* text) noexcept {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

// Without control characters: one might pass for two, or for another.
bool is_plain(std::string_view text) noexcept {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string address_text(std::string_view bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = bytes.size() == 4 ? AF_INET : AF_INET6;
  if (bytes.size() != 4 && bytes.size() != 16) return {};
  return ::inet_ntop(family, bytes.data(), text.data(), text.size()) != nullptr ? text.data() : "";
}

std::vector<std::string> names_of(const X509* certificate) {
  std::vector<std::string> names;
  auto* const all = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(all); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(all, i);
    const auto add = [&names](const char* kind, std::string_view text) {
      if (!text.empty() && is_plain(text)) names.push_back(kind + std::string(text));
    };
    if (name->type == GEN_DNS) add("DNS:", text_of(name->d.dNSName));
    if (name->type == GEN_EMAIL) add("email:", text_of(name->d.rfc822Name));
    if (name->type == GEN_URI) add("URI:", text_of(name->d.uniformResourceIdentifier));
    if (name->type == GEN_IPADD) add("IP:", address_text(text_of(name->d.iPAddress)));
  }
  GENERAL_NAMES_free(all);
  return names;
}

}  // namespace

ClientCertificate describe(X509* certificate) {
  std::tm until{};
  ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &until);
  return {.subject = name_text(X509_get_subject_name(certificate)),
          .issuer = name_text(X509_get_issuer_name(certificate)),
          .serial = serial_text(X509_get0_serialNumber(certificate)),
          .fingerprint = fingerprint_of(certificate),
          .not_after = std::chrono::system_clock::from_time_t(::timegm(&until)),
          .names = names_of(certificate)};
}

}  // namespace pronghorn::worker
