#include "support/tls/issued.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <memory>
#include <stdexcept>

#include "worker/crypto/evp.h"

namespace pronghorn::test {
namespace {

using Bio = std::unique_ptr<BIO, worker::FreeWith<BIO_free>>;
using Key = worker::EvpKey;
using Certificate = std::unique_ptr<X509, worker::FreeWith<X509_free>>;

void require(bool works) {
  if (!works) throw std::runtime_error("OpenSSL refuses to make a certificate");
}

Bio reader(const std::string& pem) { return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); }

std::string text_of(const Bio& bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

void add(X509& certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer != nullptr ? issuer : &certificate, &certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  require(extension != nullptr);
  X509_add_ext(&certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

}  // namespace

Issued issue(const IssueOptions& options) {
  const Key key(options.rsa ? EVP_RSA_gen(options.rsa_bits) : EVP_EC_gen("P-256"));
  const Certificate certificate(X509_new());
  require(key != nullptr && certificate != nullptr);
  X509_set_version(certificate.get(), X509_VERSION_3);
  std::uint32_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), options.from.count());
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), options.until.count());
  X509_NAME* const subject = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(options.common_name.c_str()), -1, -1, 0);
  X509_set_pubkey(certificate.get(), key.get());
  Certificate issuer;
  Key issuer_key;
  if (options.issuer != nullptr) {
    issuer.reset(PEM_read_bio_X509(reader(options.issuer->certificate).get(), nullptr, nullptr, nullptr));
    issuer_key.reset(PEM_read_bio_PrivateKey(reader(options.issuer->key).get(), nullptr, nullptr, nullptr));
    require(issuer != nullptr && issuer_key != nullptr);
  }
  X509_set_issuer_name(certificate.get(), issuer ? X509_get_subject_name(issuer.get()) : subject);
  add(*certificate, issuer.get(), NID_subject_key_identifier, "hash");
  if (issuer) add(*certificate, issuer.get(), NID_authority_key_identifier, "keyid:always");
  if (options.authority) add(*certificate, issuer.get(), NID_basic_constraints, "critical,CA:TRUE");
  std::string alternatives;
  for (const std::string& name : options.names) {
    alternatives += (alternatives.empty() ? "" : ",") + (name.starts_with("IP:") ? name : "DNS:" + name);
  }
  if (!alternatives.empty()) add(*certificate, issuer.get(), NID_subject_alt_name, alternatives);
  require(X509_sign(certificate.get(), issuer_key ? issuer_key.get() : key.get(), EVP_sha256()) > 0);
  const Bio certificate_text(BIO_new(BIO_s_mem()));
  const Bio key_text(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(certificate_text.get(), certificate.get());
  PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return {text_of(certificate_text), text_of(key_text)};
}

}  // namespace pronghorn::test
