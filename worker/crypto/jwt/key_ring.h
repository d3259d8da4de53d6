// The keys of a KeySet.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "worker/crypto/jwt/signature_key.h"

namespace pronghorn::detail {

// Context: one thread.
class KeyRing {
 public:
  // Reads a JWK set or a JWK. Throws std::invalid_argument: see key_set() in pronghorn/key_set.h.
  explicit KeyRing(std::string_view json);

  // The key that verifies tokens with this `kid`; "" for tokens without. Null if there is none.
  [[nodiscard]] worker::SignatureKey* find(std::string_view kid) noexcept;
  // The key that signs; null if none can.
  [[nodiscard]] worker::SignatureKey* signer() noexcept;
  [[nodiscard]] std::string public_keys() const;
  // Whether both were read from the same text.
  [[nodiscard]] bool same_as(const KeyRing& other) const noexcept { return text_digest_ == other.text_digest_; }

 private:
  void add(worker::SignatureKey key);

  std::vector<worker::SignatureKey> keys_;
  worker::Sha256Digest text_digest_;
};

}  // namespace pronghorn::detail

namespace pronghorn::worker {
using pronghorn::detail::KeyRing;  // the public headers name it
}
