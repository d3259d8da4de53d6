#include "worker/tokens/refresh_token.h"

#include <utility>

#include "pronghorn/secrets.h"
#include "worker/crypto/base64.h"
#include "worker/state/keys/digest.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kFamilyBytes = 16;
constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kFamilyText = 22;
constexpr std::size_t kText = kFamilyText + 1 + 43;

RefreshToken complete(std::string family_part, std::string_view secret) {
  RefreshToken token;
  token.text = family_part + "." + std::string(secret);
  token.family = sha256_hex("pronghorn refresh family " + family_part).substr(0, 32);
  token.digest = sha256_hex(token.text);
  token.family_part = std::move(family_part);
  return token;
}

}  // namespace

RefreshToken new_refresh_token() { return complete(random_token(kFamilyBytes), random_token(kSecretBytes)); }

RefreshToken next_refresh_token(const RefreshToken& current) {
  return complete(current.family_part, random_token(kSecretBytes));
}

std::optional<RefreshToken> parse_refresh_token(std::string_view text) {
  if (text.size() != kText || text[kFamilyText] != '.') return std::nullopt;
  const std::string_view family_part = text.substr(0, kFamilyText);
  const std::string_view secret = text.substr(kFamilyText + 1);
  if (!decode_base64(family_part) || !decode_base64(secret)) return std::nullopt;
  return complete(std::string(family_part), secret);
}

}  // namespace pronghorn::worker
