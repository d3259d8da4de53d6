// ES256 signatures of one public key, verified in half of OpenSSL's time.
//
// Three quarters of a verification is the product of a number and the public key. OpenSSL computes it for a key that it
// has never seen; a key set has few keys, so this class prepares a table of each key's multiples, as OpenSSL itself has
// one for the curve's base point. The arithmetic is OpenSSL's; only the equation of ECDSA is here. Everything in it is
// public, so nothing has to take constant time.
#pragma once

#include <openssl/ec.h>

#include <memory>
#include <string_view>

#include "worker/crypto/evp.h"
#include "worker/crypto/sha256.h"

namespace pronghorn::worker {

// Context: one thread. Memory: 150 KiB.
class P256Verifier {
 public:
  // `key` is a public key of P-256 that has been checked to be a point of the curve. Null if this OpenSSL has no such
  // tables: then use its own verification.
  [[nodiscard]] static std::unique_ptr<P256Verifier> make(EVP_PKEY* key);

  // `r_and_s` has 64 bytes. Does not throw: false if there is no memory.
  [[nodiscard]] bool verify(const Sha256Digest& digest, std::string_view r_and_s) noexcept;

 private:
  using Group = std::unique_ptr<EC_GROUP, FreeWith<EC_GROUP_free>>;
  using Point = std::unique_ptr<EC_POINT, FreeWith<EC_POINT_free>>;
  using Context = std::unique_ptr<BN_CTX, FreeWith<BN_CTX_free>>;
  P256Verifier() = default;
  [[nodiscard]] bool prepare(EVP_PKEY* key);
  [[nodiscard]] bool matches(const Sha256Digest& digest, const BIGNUM* r, const BIGNUM* s);

  Context context_;
  Group curve_;    // with the base point of P-256
  Group own_;      // the same curve with the public key as its base point, and the table of that
  Point product_;  // reused for each signature
  Point sum_;
};

}  // namespace pronghorn::worker
