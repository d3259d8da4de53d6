// A key that signs and verifies with one algorithm (RFC 7518 section 3, RFC 8037).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "pronghorn/key_set.h"
#include "worker/crypto/evp.h"
#include "worker/crypto/sha256.h"

namespace pronghorn::worker {

// "HS256" …
[[nodiscard]] std::string_view name_of(KeyAlgorithm algorithm) noexcept;

// Context: one thread: it reuses OpenSSL's contexts, because making one costs as much as a signature of HS256.
// Errors:  the constructors and sign() throw std::runtime_error if OpenSSL fails; verify() does not throw for any
//          input.
class SignatureKey {
 public:
  // An asymmetric key. `key` has a private part if `can_sign`.
  SignatureKey(KeyAlgorithm algorithm, std::string kid, EvpKey key, bool can_sign);
  // HS256.
  SignatureKey(std::string kid, std::string_view secret, bool can_sign);

  [[nodiscard]] KeyAlgorithm algorithm() const noexcept { return algorithm_; }
  [[nodiscard]] const std::string& kid() const noexcept { return kid_; }
  [[nodiscard]] bool can_sign() const noexcept { return can_sign_; }
  [[nodiscard]] EVP_PKEY* key() const noexcept { return key_.get(); }  // null for HS256

  // The signature as JWS has it: of ES256 r and s, 32 bytes each.
  [[nodiscard]] std::string sign(std::string_view message);
  [[nodiscard]] bool verify(std::string_view message, std::string_view signature);

 private:
  [[nodiscard]] std::string mac(std::string_view message);
  [[nodiscard]] std::string sign_with_key(std::string_view message);
  [[nodiscard]] bool verify_digest(const Sha256Digest& digest, std::string_view signature);
  [[nodiscard]] bool verify_es256(const Sha256Digest& digest, std::string_view signature);
  [[nodiscard]] bool verify_eddsa(std::string_view message, std::string_view signature);

  KeyAlgorithm algorithm_;
  std::string kid_;
  bool can_sign_;
  EvpKey key_;
  EvpKeyContext verifier_;  // RS256 and ES256
  ShortSha256 sha256_;
  EvpMacContext mac_;  // HS256
};

}  // namespace pronghorn::worker
