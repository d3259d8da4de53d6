// JSON Web Tokens in compact form (RFC 7519, RFC 7515), without I/O.
//
// What a stranger sends is read strictly and in this order: size, three parts, header, key and algorithm, signature;
// the payload is not looked at before the signature is known to be right.
#pragma once

#include <cstdint>
#include <expected>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "worker/crypto/jwt/key_ring.h"

namespace pronghorn::detail {

struct VerifiedToken {
  std::string claims;  // JSON text
  std::string id;
  std::string subject;
  std::string issuer;
  std::string family;  // the claim "sid"
  std::vector<std::string> scopes;
  std::int64_t issued = 0;  // seconds since the epoch
  std::int64_t expires = 0;
};

}  // namespace pronghorn::detail

namespace pronghorn::worker {

using pronghorn::detail::VerifiedToken;

enum class TokenFault {
  malformed,    // not a JWT, or one with a header that is not understood
  unknown_key,  // "kid" names no key, or there is none without a name
  algorithm,    // another one than the key's
  signature,
  claims,  // not a JSON object, or a claim of the wrong type
  expired,
  not_yet_valid,
  issuer,
  audience,
};
// For error_description of RFC 6750.
[[nodiscard]] std::string_view text_of(TokenFault fault) noexcept;

struct TokenRules {
  std::string issuer;
  std::string audience;     // empty: a token with an audience is refused
  std::int64_t leeway = 0;  // seconds
  bool needs_id = false;
};

// Does not throw for any `token`.
[[nodiscard]] std::expected<VerifiedToken, TokenFault> verify_jwt(std::string_view token, KeyRing& keys,
                                                                  const TokenRules& rules, std::int64_t now_s);

// Throws std::runtime_error if OpenSSL cannot sign.
[[nodiscard]] std::string sign_jwt(SignatureKey& key, const nlohmann::json& claims);

// The words of `text` that are separated by blanks.
[[nodiscard]] std::vector<std::string> split_words(std::string_view text);

}  // namespace pronghorn::worker
