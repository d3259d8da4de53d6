#include "worker/state/keys/digest.h"

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <stdexcept>

#include "pronghorn/hash.h"

namespace pronghorn {
namespace {

std::string to_hex(const unsigned char* bytes, std::size_t count) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * count);
  for (std::size_t i = 0; i < count; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

[[noreturn]] void throw_refused() { throw std::runtime_error("OpenSSL refuses to compute a digest"); }

std::string digest_hex(std::string_view bytes, const EVP_MD* algorithm) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, algorithm, nullptr) != 1) throw_refused();
  return to_hex(digest.data(), size);
}

}  // namespace

namespace worker {

std::string sha1_hex(std::string_view bytes) { return digest_hex(bytes, EVP_sha1()); }
std::string sha256_hex(std::string_view bytes) { return digest_hex(bytes, EVP_sha256()); }

}  // namespace worker

struct Sha256::Context {
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> evp{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  if (!context_->evp || EVP_DigestInit_ex(context_->evp.get(), EVP_sha256(), nullptr) != 1) throw_refused();
}

Sha256::~Sha256() = default;

void Sha256::update(std::string_view bytes) {
  if (!digest_.empty()) return;
  if (EVP_DigestUpdate(context_->evp.get(), bytes.data(), bytes.size()) != 1) throw_refused();
}

std::string Sha256::hex() {
  if (digest_.empty()) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    if (EVP_DigestFinal_ex(context_->evp.get(), digest.data(), &size) != 1) throw_refused();
    digest_ = to_hex(digest.data(), size);
  }
  return digest_;
}

}  // namespace pronghorn
