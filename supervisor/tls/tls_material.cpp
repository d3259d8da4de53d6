#include "supervisor/tls/tls_material.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <time.h>

#include <algorithm>
#include <ctime>
#include <exception>
#include <stdexcept>
#include <utility>

#include "common/tls/credentials.h"
#include "common/tls/server_context.h"
#include "supervisor/tls/pem_file.h"

namespace pronghorn::supervisor {
namespace {

// Private keys must not stay behind in the memory of this process, whatever throws.
struct WipedCredentials {
  TlsCredentials credentials;
  WipedCredentials() = default;
  WipedCredentials(const WipedCredentials&) = delete;
  WipedCredentials& operator=(const WipedCredentials&) = delete;
  ~WipedCredentials() {
    for (TlsCertificate& each : credentials.certificates) OPENSSL_cleanse(each.chain.data(), each.chain.size());
    wipe_keys(credentials);
  }
};

TlsClientCertificates client_mode(const std::string& word) noexcept {
  if (word == "required") return TlsClientCertificates::required;
  return word == "optional" ? TlsClientCertificates::optional : TlsClientCertificates::off;
}

void doubt_permissions(const std::string& path, std::vector<std::string>& doubts) {
  if (!is_readable_by_all(path)) return;
  doubts.push_back(fmt::format("{}: every user of this machine can read the private key in it; chmod 600", path));
}

// With as many keys as certificates they are pairs. With fewer, certificates whose file has no key get them in order.
void read_keys(const Config& config, TlsCredentials& credentials, std::vector<std::string>& doubts) {
  const bool pairs = config.tls_key.size() == config.tls_certificate.size();
  std::size_t next = 0;
  for (TlsCertificate& each : credentials.certificates) {
    const bool own = !pairs && has_private_key(each.chain);
    if (!own && next == config.tls_key.size()) {
      throw std::runtime_error(fmt::format("{}: it has no private key; name its file with --tls-key", each.file));
    }
    doubt_permissions(own ? each.file : config.tls_key[next], doubts);
    each.key = own ? each.chain : read_pem_file(config.tls_key[next++]);
  }
  if (next < config.tls_key.size()) {
    throw std::runtime_error(fmt::format(
        "{}: no certificate is left for this key: the others have theirs in their own files", config.tls_key[next]));
  }
}

std::shared_ptr<const TlsMaterial> load_once(const Config& config, std::int64_t now) {
  WipedCredentials owner;
  TlsCredentials& credentials = owner.credentials;
  auto material = std::make_shared<TlsMaterial>();
  credentials.client = client_mode(config.tls_client_certificates);
  if (credentials.client != TlsClientCertificates::off) {
    credentials.client_ca = read_pem_file(config.tls_client_ca);
    check_authorities(config.tls_client_ca, credentials.client_ca);
  }
  for (const std::string& file : config.tls_certificate) {
    TlsCertificate& each = credentials.certificates.emplace_back();
    each.file = file;
    each.chain = read_pem_file(file);
    each.staple = read_pem_file_if_any(file + ".ocsp");
  }
  read_keys(config, credentials, material->doubts);
  for (TlsCertificate& each : credentials.certificates) {
    CertificateFacts facts = facts_of(each, true, now);
    material->doubts.insert(material->doubts.end(), facts.doubts.begin(), facts.doubts.end());
    material->certificates.push_back(std::move(facts));
  }
  // As a worker does it: what it would refuse, such as a key that is too short, is refused here.
  const TlsServerContext would_serve(credentials, {.check_dates = true});
  material->credentials = Fd(write_tls_credentials(credentials));
  return material;
}

}  // namespace

bool serves_https(const Config& config) noexcept {
  return std::ranges::any_of(config.listen, [](const std::string& address) { return address.starts_with("https://"); });
}

std::shared_ptr<const TlsMaterial> load_tls_material(const Config& config) {
  if (!serves_https(config)) return nullptr;
  if (config.tls_certificate.empty()) {
    throw std::runtime_error("tls_certificate: an address of listen begins with https:// and needs one");
  }
  return read_fitting_files([&config] { return load_once(config, static_cast<std::int64_t>(std::time(nullptr))); });
}

std::shared_ptr<const TlsMaterial> adopt_tls_material(int fd) noexcept {
  if (fd < 0) return nullptr;
  try {
    auto material = std::make_shared<TlsMaterial>();
    material->credentials = Fd(fd);
    WipedCredentials owner;
    owner.credentials = read_tls_credentials(fd);
    // One that has expired meanwhile still serves until it is replaced.
    for (const TlsCertificate& each : owner.credentials.certificates) {
      material->certificates.push_back(facts_of(each, false, 0));
    }
    return material;
  } catch (const std::exception&) {
    return nullptr;
  }
}

bool has_expired(const TlsMaterial& material, std::int64_t now) noexcept {
  return std::ranges::any_of(material.certificates,
                             [now](const CertificateFacts& facts) { return facts.not_after <= now; });
}

}  // namespace pronghorn::supervisor
