// Keys that sign and verify tokens: a JWK set (RFC 7517), from a file or a text.
//
// A set may hold several keys. Each verifies the tokens that name it with `kid`, with its one algorithm; the first key
// that can sign (it has a private part, or is symmetric, and its "key_ops" do not say otherwise) signs new tokens.
//
// To rotate keys: append the public half of the new key and reload the servers, so that all of them know it; make the
// new key, with its private part, the first one and reload; remove the old key once its last token has expired.
//
//   {"keys": [{"kid": "2026-11", "kty": "OKP", "crv": "Ed25519", "x": "11qY…", "d": "nWGx…"},
//             {"kid": "2026-05", "kty": "OKP", "crv": "Ed25519", "x": "PNbs…"}]}
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "pronghorn/detail/export.h"

namespace pronghorn {

namespace detail {
class KeyRing;
}

// The algorithm of a key follows from its kind; "alg" in the key must agree. ES256 and EdDSA (Ed25519) are the ones to
// choose: short signatures, and whoever only verifies cannot sign. HS256: whoever verifies can sign. RS256: for tokens
// of others; signing blocks the loop for 0.2 to 1 ms.
enum class KeyAlgorithm { HS256, RS256, ES256, EdDSA };

// Cheap to copy; copies share the keys. Context: the loop thread of one worker.
class PRONGHORN_API KeySet {
 public:
  KeySet() = default;                                                                          // no keys
  explicit KeySet(std::shared_ptr<detail::KeyRing> keys) noexcept : keys_(std::move(keys)) {}  // for key_set()

  [[nodiscard]] bool empty() const noexcept { return keys_ == nullptr; }
  // The JWK set without private parts and without symmetric keys, as JSON, for those who verify tokens of this
  // application: serve it at "/.well-known/jwks.json".
  [[nodiscard]] std::string public_keys() const;

  [[nodiscard]] const std::shared_ptr<detail::KeyRing>& keys() const noexcept { return keys_; }  // for the server

 private:
  std::shared_ptr<detail::KeyRing> keys_;
};

// Reads a JWK set, or one JWK, from a file of at most 1 MiB. A relative path starts at the server's working directory.
// Called in the setup function it is read once per worker, so a reload of the server reads it again.
//
// Keys for other purposes are skipped: of a kind, curve or algorithm that is not supported, or with "use" other than
// "sig". Throws std::invalid_argument, which names the file and the key, if it cannot be read, is not a JWK set, has no
// key left, two keys with one kid, several keys of which one has no kid, or a supported key that is malformed, too weak
// (RSA below 2048 bits, HS256 below 32 bytes) or whose halves do not belong together.
[[nodiscard]] PRONGHORN_API KeySet key_set(const std::string& path);
// The same from a text.
[[nodiscard]] PRONGHORN_API KeySet key_set_from(std::string_view json);

// Makes a key at random, as a JWK with its private part: what a file or a secret store holds. An empty `kid` is
// replaced by a random one. RS256: 2048 bits, which takes up to a second.
[[nodiscard]] PRONGHORN_API std::string new_key(KeyAlgorithm algorithm, std::string_view kid = {});

}  // namespace pronghorn
