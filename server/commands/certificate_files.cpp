#include "server/commands/certificate_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string_view>

#include "common/config/networks.h"
#include "common/tls/certificate.h"
#include "server/options/values/values.h"

namespace pronghorn::server {
namespace {

constexpr long kYearSeconds = 365L * 24 * 3600;
constexpr long kEarlierSeconds = 3600;  // for clients whose clock is behind

struct ExtensionFree {
  void operator()(X509_EXTENSION* extension) const noexcept { X509_EXTENSION_free(extension); }
};
using BioPtr = std::unique_ptr<BIO, TlsFree>;

void require(bool works, const char* what) {
  if (works) return;
  const char* const why = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  throw std::runtime_error(fmt::format("certificate: cannot {}: {}", what, why != nullptr ? why : "unknown reason"));
}

bool is_dns_name(std::string_view name) {
  constexpr std::size_t kLongest = 253;
  if (name.starts_with("*.")) name.remove_prefix(2);
  std::size_t label = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
    } else if ((std::isalnum(c) == 0 && c != '-') || ++label > 63) {
      return false;
    }
  }
  return label > 0 && name.size() <= kLongest;
}

std::vector<std::string> all_names(const CertificateWish& wish) {
  std::vector<std::string> names{"localhost", "127.0.0.1", "::1"};
  for (const std::string& name : wish.names) {
    if (!is_dns_name(name) && !parse_ip_address(name)) {
      throw UsageError(fmt::format(
          "certificate: {} is neither a host name nor an address; use example.test or 192.0.2.7", in_quotes(name)));
    }
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return names;
}

void add_extension(X509& certificate, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, &certificate, &certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, ExtensionFree> extension(
      X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  require(extension != nullptr && X509_add_ext(&certificate, extension.get(), -1) == 1, "make the certificate");
}

void set_random_serial(X509& certificate) {
  std::array<unsigned char, 16> bytes{};
  require(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1, "make a serial number");
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);  // positive, of constant length
  BIGNUM* const number = BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(&certificate));
  BN_free(number);
}

X509Ptr make_certificate(EVP_PKEY& key, const std::vector<std::string>& names) {
  X509Ptr certificate(X509_new());
  require(certificate != nullptr && X509_set_version(certificate.get(), X509_VERSION_3) == 1, "make the certificate");
  set_random_serial(*certificate);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kEarlierSeconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kYearSeconds);
  X509_NAME* const subject = X509_get_subject_name(certificate.get());
  const auto* const common = reinterpret_cast<const unsigned char*>("Pronghorn development certificate");
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, common, -1, -1, 0);
  X509_set_issuer_name(certificate.get(), subject);
  X509_set_pubkey(certificate.get(), &key);
  std::string alternatives;
  for (const std::string& name : names) {
    alternatives +=
        fmt::format("{}{}:{}", alternatives.empty() ? "" : ",", parse_ip_address(name) ? "IP" : "DNS", name);
  }
  // It signs nothing but itself: whoever steals the key of a trusted development certificate must not issue others.
  add_extension(*certificate, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(*certificate, NID_key_usage, "critical,digitalSignature");
  add_extension(*certificate, NID_ext_key_usage, "serverAuth");
  add_extension(*certificate, NID_subject_key_identifier, "hash");
  add_extension(*certificate, NID_subject_alt_name, alternatives);
  require(X509_sign(certificate.get(), &key, EVP_sha256()) > 0, "sign the certificate");
  return certificate;
}

std::string contents_of(const BioPtr& bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

bool write_all(int fd, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::fsync(fd) == 0;
}

// Under a name of its own first: a server that reloads meanwhile finds the old file or the whole new one.
std::string write_beside(const std::string& path, std::string_view text) {
  std::string temporary = path + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);  // mode 0600
  const bool written = fd >= 0 && write_all(fd, text);
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (written) return temporary;
  if (fd >= 0) ::unlink(temporary.c_str());
  throw std::runtime_error(fmt::format("certificate: cannot write {}: {}", path, std::strerror(error)));
}

void refuse_existing(const CertificateWish& wish) {
  if (wish.certificate == wish.key) {
    throw UsageError("certificate: the certificate and its key need different files; change --certificate or --key");
  }
  for (const std::string& path : {wish.certificate, wish.key}) {
    struct stat facts{};
    if (wish.replace || ::lstat(path.c_str(), &facts) != 0) continue;
    throw UsageError(
        fmt::format("certificate: {} exists; add --replace to overwrite it, or name other files with "
                    "--certificate and --key",
                    path));
  }
}

}  // namespace

std::vector<std::string> make_self_signed(const CertificateWish& wish) {
  std::vector<std::string> names = all_names(wish);
  refuse_existing(wish);
  const KeyPtr key(EVP_EC_gen("P-256"));
  require(key != nullptr, "make a key");
  const X509Ptr certificate = make_certificate(*key, names);
  const BioPtr key_text(BIO_new(BIO_s_mem()));
  const BioPtr certificate_text(BIO_new(BIO_s_mem()));
  require(PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1 &&
              PEM_write_bio_X509(certificate_text.get(), certificate.get()) == 1,
          "write the certificate");
  const std::string new_key = write_beside(wish.key, contents_of(key_text));
  std::string new_certificate;
  try {
    new_certificate = write_beside(wish.certificate, contents_of(certificate_text));
  } catch (...) {
    ::unlink(new_key.c_str());
    throw;
  }
  const bool renamed = ::rename(new_key.c_str(), wish.key.c_str()) == 0 &&
                       ::rename(new_certificate.c_str(), wish.certificate.c_str()) == 0;
  if (renamed) return names;
  const int error = errno;
  ::unlink(new_key.c_str());
  ::unlink(new_certificate.c_str());
  throw std::runtime_error(fmt::format("certificate: cannot create {}: {}", wish.certificate, std::strerror(error)));
}

}  // namespace pronghorn::server
