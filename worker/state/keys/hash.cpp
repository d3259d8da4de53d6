#include "pronghorn/hash.h"

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <span>

#include "worker/state/keys/digest.h"

namespace pronghorn {

struct detail::Sha256Context {
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> evp{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

Sha256::Sha256() : context_(std::make_unique<detail::Sha256Context>()) {
  if (!context_->evp || EVP_DigestInit_ex(context_->evp.get(), EVP_sha256(), nullptr) != 1) {
    worker::throw_digest_failed();
  }
}

Sha256::~Sha256() = default;

void Sha256::update(std::string_view bytes) {
  if (!digest_.empty()) return;
  if (EVP_DigestUpdate(context_->evp.get(), bytes.data(), bytes.size()) != 1) worker::throw_digest_failed();
}

std::string Sha256::hex() {
  if (digest_.empty()) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    if (EVP_DigestFinal_ex(context_->evp.get(), digest.data(), &size) != 1) worker::throw_digest_failed();
    digest_ = worker::to_hex(std::span(digest).first(size));
  }
  return digest_;
}

}  // namespace pronghorn
