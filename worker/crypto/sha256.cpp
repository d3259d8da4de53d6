#include "worker/crypto/sha256.h"

namespace pronghorn::worker {

ShortSha256::ShortSha256() : algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
  if (!algorithm_ || !context_) throw std::runtime_error("OpenSSL does not provide SHA-256");
}

Sha256Digest ShortSha256::operator()(std::string_view bytes) {
  Sha256Digest digest;
  unsigned size = 0;
  if (EVP_DigestInit_ex(context_.get(), algorithm_.get(), nullptr) != 1 ||
      EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1 ||
      EVP_DigestFinal_ex(context_.get(), digest.data(), &size) != 1 || size != digest.size()) {
    throw std::runtime_error("OpenSSL cannot compute SHA-256");
  }
  return digest;
}

}  // namespace pronghorn::worker
