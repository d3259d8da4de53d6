// Keys as JSON: JWK (RFC 7517, RFC 7518 section 6, RFC 8037).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "worker/crypto/jwt/signature_key.h"

namespace pronghorn::worker {

// nullopt if the key is for another purpose: its kind, curve or algorithm is not supported, or "use" is not "sig".
// Throws std::invalid_argument, without the key's secrets in the text, for a supported key that is malformed, too weak,
// or whose private part does not belong to its public part.
[[nodiscard]] std::optional<SignatureKey> read_jwk(const nlohmann::json& jwk);

// The public part of an asymmetric key.
[[nodiscard]] nlohmann::json public_jwk(const SignatureKey& key);

}  // namespace pronghorn::worker
