#include "worker/crypto/jwt/signature_key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include <array>
#include <utility>

#include "pronghorn/secrets.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kCoordinate = 32;  // bytes of r and of s

const unsigned char* unsigned_bytes(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char*>(text.data());
}

[[noreturn]] void throw_failed(const char* what) {
  ERR_clear_error();
  throw std::runtime_error(std::string("OpenSSL cannot ") + what);
}

// The signature of ES256 as OpenSSL takes it: a DER sequence of two integers, at most 72 bytes. Any r and s may be
// encoded; OpenSSL refuses those out of range.
class DerSignature {
 public:
  explicit DerSignature(std::string_view r_and_s) noexcept {
    put_integer(r_and_s.substr(0, kCoordinate));
    put_integer(r_and_s.substr(kCoordinate));
    bytes_[0] = 0x30;
    bytes_[1] = static_cast<unsigned char>(size_ - 2);
  }
  [[nodiscard]] const unsigned char* data() const noexcept { return bytes_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  void put_integer(std::string_view number) noexcept {
    while (number.size() > 1 && number.front() == '\0') number.remove_prefix(1);
    const bool would_be_negative = (static_cast<unsigned char>(number.front()) & 0x80) != 0;
    bytes_[size_++] = 0x02;
    bytes_[size_++] = static_cast<unsigned char>(number.size() + (would_be_negative ? 1 : 0));
    if (would_be_negative) bytes_[size_++] = 0;
    for (const char byte : number) bytes_[size_++] = static_cast<unsigned char>(byte);
  }

  std::array<unsigned char, 72> bytes_;
  std::size_t size_ = 2;
};

std::string r_and_s_of(std::string_view der) {
  const unsigned char* at = unsigned_bytes(der);
  const EcdsaSignature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  std::array<unsigned char, 2 * kCoordinate> bytes;
  if (!signature || BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), bytes.data(), kCoordinate) != kCoordinate ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), bytes.data() + kCoordinate, kCoordinate) != kCoordinate) {
    throw_failed("read its own signature");
  }
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Ready to verify digests of SHA-256 with `key`.
EvpKeyContext make_verifier(EVP_PKEY* key, KeyAlgorithm algorithm) {
  EvpKeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  if (!context || EVP_PKEY_verify_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_signature_md(context.get(), EVP_sha256()) != 1) {
    throw_failed("verify with this key");
  }
  if (algorithm == KeyAlgorithm::RS256 && EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1) {
    throw_failed("verify with this key");
  }
  return context;
}

}  // namespace

std::string_view name_of(KeyAlgorithm algorithm) noexcept {
  switch (algorithm) {
    case KeyAlgorithm::HS256:
      return "HS256";
    case KeyAlgorithm::RS256:
      return "RS256";
    case KeyAlgorithm::ES256:
      return "ES256";
    case KeyAlgorithm::EdDSA:
      break;
  }
  return "EdDSA";
}

SignatureKey::SignatureKey(KeyAlgorithm algorithm, std::string kid, EvpKey key, bool can_sign)
    : algorithm_(algorithm), kid_(std::move(kid)), can_sign_(can_sign), key_(std::move(key)) {
  if (algorithm_ != KeyAlgorithm::EdDSA) verifier_ = make_verifier(key_.get(), algorithm_);
}

SignatureKey::SignatureKey(std::string kid, std::string_view secret, bool can_sign)
    : algorithm_(KeyAlgorithm::HS256), kid_(std::move(kid)), can_sign_(can_sign) {
  const EvpMac hmac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  if (hmac) mac_.reset(EVP_MAC_CTX_new(hmac.get()));
  char sha256[] = "SHA256";
  const std::array<OSSL_PARAM, 2> params{OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
                                         OSSL_PARAM_construct_end()};
  if (!mac_ || EVP_MAC_init(mac_.get(), unsigned_bytes(secret), secret.size(), params.data()) != 1) {
    throw_failed("compute an HMAC");
  }
}

std::string SignatureKey::mac(std::string_view message) {
  std::array<unsigned char, 32> bytes;
  std::size_t size = 0;
  if (EVP_MAC_init(mac_.get(), nullptr, 0, nullptr) != 1 ||  // begins anew with the same key
      EVP_MAC_update(mac_.get(), unsigned_bytes(message), message.size()) != 1 ||
      EVP_MAC_final(mac_.get(), bytes.data(), &size, bytes.size()) != 1) {
    throw_failed("compute an HMAC");
  }
  return {reinterpret_cast<const char*>(bytes.data()), size};
}

std::string SignatureKey::sign_with_key(std::string_view message) {
  const EvpDigestContext context(EVP_MD_CTX_new());
  const EVP_MD* const digest = algorithm_ == KeyAlgorithm::EdDSA ? nullptr : EVP_sha256();
  std::string signature(1024, '\0');  // RSA up to 8192 bits
  std::size_t size = signature.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, unsigned_bytes(message),
                     message.size()) != 1) {
    throw_failed("sign a token");
  }
  signature.resize(size);
  return algorithm_ == KeyAlgorithm::ES256 ? r_and_s_of(signature) : signature;
}

std::string SignatureKey::sign(std::string_view message) {
  if (!can_sign_) throw std::runtime_error("the key cannot sign");
  return algorithm_ == KeyAlgorithm::HS256 ? mac(message) : sign_with_key(message);
}

bool SignatureKey::verify_digest(const Sha256Digest& digest, std::string_view signature) {
  return EVP_PKEY_verify(verifier_.get(), unsigned_bytes(signature), signature.size(), digest.data(), digest.size()) ==
         1;
}

bool SignatureKey::verify_es256(const Sha256Digest& digest, std::string_view signature) {
  if (signature.size() != 2 * kCoordinate) return false;
  const DerSignature der(signature);
  return verify_digest(digest, {reinterpret_cast<const char*>(der.data()), der.size()});
}

bool SignatureKey::verify_eddsa(std::string_view message, std::string_view signature) {
  const EvpDigestContext context(EVP_MD_CTX_new());
  return context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
         EVP_DigestVerify(context.get(), unsigned_bytes(signature), signature.size(), unsigned_bytes(message),
                          message.size()) == 1;
}

bool SignatureKey::verify(std::string_view message, std::string_view signature) {
  bool valid = false;
  switch (algorithm_) {
    case KeyAlgorithm::HS256:
      return constant_time_equal(mac(message), signature);
    case KeyAlgorithm::RS256:
      valid = verify_digest(sha256_(message), signature);
      break;
    case KeyAlgorithm::ES256:
      valid = verify_es256(sha256_(message), signature);
      break;
    case KeyAlgorithm::EdDSA:
      valid = verify_eddsa(message, signature);
      break;
  }
  if (!valid) ERR_clear_error();
  return valid;
}

}  // namespace pronghorn::worker
