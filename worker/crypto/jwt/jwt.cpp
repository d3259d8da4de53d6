#include "worker/crypto/jwt/jwt.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "pronghorn/token.h"
#include "worker/crypto/base64.h"
#include "worker/crypto/jwt/strict_json.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

using nlohmann::json;
using Fault = std::unexpected<TokenFault>;

constexpr std::int64_t kLatest = 253'402'300'799;  // the end of the year 9999
constexpr std::size_t kMaxId = 256;

struct Parts {
  std::string_view header, payload, signature;
  std::string_view signed_text;  // header and payload
};

std::optional<Parts> split(std::string_view token) {
  if (token.size() > kMaxToken) return std::nullopt;
  const std::size_t first = token.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) return std::nullopt;
  const Parts parts{.header = token.substr(0, first),
                    .payload = token.substr(first + 1, second - first - 1),
                    .signature = token.substr(second + 1),
                    .signed_text = token.substr(0, second)};
  if (parts.header.empty() || parts.payload.empty() || parts.signature.empty()) return std::nullopt;
  return parts;
}

std::optional<json> decode_object(std::string_view part) {
  const auto bytes = decode_base64(part);
  if (!bytes) return std::nullopt;
  return parse_strict_object(*bytes);
}

// A text member; "" if it is absent, nullopt if it is something else.
std::optional<std::string> text_member(const json& object, const char* name) {
  const auto at = object.find(name);
  if (at == object.end()) return "";
  if (!at->is_string()) return std::nullopt;
  return at->get<std::string>();
}

// "application/" may be left out (RFC 7515 section 4.1.9).
bool is_token_type(std::string_view type) {
  constexpr std::string_view kOmitted = "application/";
  if (equal_ignoring_case(type.substr(0, kOmitted.size()), kOmitted)) type.remove_prefix(kOmitted.size());
  return type.empty() || equal_ignoring_case(type, "jwt") || equal_ignoring_case(type, "at+jwt");
}

// What a header must not have: extensions that have to be understood, and keys that the token brings along, which only
// tell who did not make it.
bool has_forbidden(const json& header) {
  constexpr const char* kForbidden[] = {"crit", "jwk", "jku", "x5u", "x5c", "zip", "enc", "b64"};
  return std::ranges::any_of(kForbidden, [&header](const char* name) { return header.contains(name); });
}

std::expected<SignatureKey*, TokenFault> key_for(const json& header, KeyRing& keys) {
  const auto algorithm = text_member(header, "alg");
  const auto kid = text_member(header, "kid");
  const auto type = text_member(header, "typ");
  if (!algorithm || !kid || !type || !is_token_type(*type) || has_forbidden(header))
    return Fault(TokenFault::malformed);
  // An empty name is not the same as none, for which the set has one key.
  if (kid->empty() && header.contains("kid")) return Fault(TokenFault::unknown_key);
  SignatureKey* const key = keys.find(*kid);
  if (key == nullptr) return Fault(TokenFault::unknown_key);
  if (*algorithm != name_of(key->algorithm())) return Fault(TokenFault::algorithm);
  return key;
}

// A NumericDate (RFC 7519 section 2), which may have a fraction.
std::optional<std::int64_t> date(const json& claims, const char* name, std::int64_t otherwise) {
  const auto at = claims.find(name);
  if (at == claims.end()) return otherwise;
  if (!at->is_number()) return std::nullopt;
  const double seconds = at->get<double>();
  if (!(seconds >= 0) || seconds > static_cast<double>(kLatest)) return std::nullopt;
  return static_cast<std::int64_t>(seconds);
}

bool is_text(const json& value, std::string_view text) {
  return value.is_string() && value.get_ref<const std::string&>() == text;
}

bool is_for(const json& claims, const std::string& audience) {
  const auto named = claims.find("aud");
  if (named == claims.end()) return audience.empty();
  if (audience.empty()) return false;
  if (!named->is_array()) return is_text(*named, audience);
  return std::ranges::any_of(*named, [&audience](const json& one) { return is_text(one, audience); });
}

std::optional<TokenFault> check_claims(const json& claims, const TokenRules& rules, std::int64_t now_s,
                                       VerifiedToken& token) {
  const auto expires = date(claims, "exp", -1);
  const auto not_before = date(claims, "nbf", 0);
  const auto issued = date(claims, "iat", 0);
  auto id = text_member(claims, "jti");
  auto subject = text_member(claims, "sub");
  auto family = text_member(claims, "sid");
  const auto scope = text_member(claims, "scope");
  if (!expires || *expires < 0 || !not_before || !issued || !id || id->size() > kMaxId || !subject || !family ||
      family->size() > kMaxId || !scope || (rules.needs_id && id->empty())) {
    return TokenFault::claims;
  }
  const auto issuer = claims.find("iss");
  if (issuer == claims.end() || !is_text(*issuer, rules.issuer)) return TokenFault::issuer;
  if (!is_for(claims, rules.audience)) return TokenFault::audience;
  if (*expires + rules.leeway <= now_s) return TokenFault::expired;
  if (*not_before > now_s + rules.leeway || *issued > now_s + rules.leeway) return TokenFault::not_yet_valid;
  token.id = std::move(*id);
  token.subject = std::move(*subject);
  token.issuer = rules.issuer;
  token.family = std::move(*family);
  token.scopes = split_words(*scope);
  token.issued = *issued;
  token.expires = *expires;
  return std::nullopt;
}

}  // namespace

std::string_view text_of(TokenFault fault) noexcept {
  switch (fault) {
    case TokenFault::malformed:
      return "the token is malformed";
    case TokenFault::unknown_key:
      return "the token is signed with an unknown key";
    case TokenFault::algorithm:
      return "the token is signed with another algorithm than its key has";
    case TokenFault::signature:
      return "the signature of the token is wrong";
    case TokenFault::claims:
      return "a claim of the token is malformed or missing";
    case TokenFault::expired:
      return "the token has expired";
    case TokenFault::not_yet_valid:
      return "the token is not valid yet";
    case TokenFault::issuer:
      return "the token is from another issuer";
    case TokenFault::audience:
      break;
  }
  return "the token is for another audience";
}

std::expected<VerifiedToken, TokenFault> verify_jwt(std::string_view token, KeyRing& keys, const TokenRules& rules,
                                                    std::int64_t now_s) {
  const auto parts = split(token);
  if (!parts) return Fault(TokenFault::malformed);
  const auto header = decode_object(parts->header);
  const auto signature = decode_base64(parts->signature);
  if (!header || !signature) return Fault(TokenFault::malformed);
  const auto key = key_for(*header, keys);
  if (!key) return Fault(key.error());
  if (!(*key)->verify(parts->signed_text, *signature)) return Fault(TokenFault::signature);
  auto payload = decode_base64(parts->payload);
  if (!payload) return Fault(TokenFault::claims);
  const auto claims = parse_strict_object(*payload);
  if (!claims) return Fault(TokenFault::claims);
  VerifiedToken verified;
  if (const auto fault = check_claims(*claims, rules, now_s, verified)) return Fault(*fault);
  verified.claims = std::move(*payload);
  return verified;
}

std::string sign_jwt(SignatureKey& key, const json& claims) {
  json header{{"alg", name_of(key.algorithm())}, {"typ", "at+jwt"}};
  if (!key.kid().empty()) header["kid"] = key.kid();
  std::string token = encode_base64(header.dump()) + "." + encode_base64(claims.dump());
  const std::string signature = key.sign(token);
  return token + "." + encode_base64(signature);
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = text.find(' ');
    if (end != 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return words;
}

}  // namespace pronghorn::worker
