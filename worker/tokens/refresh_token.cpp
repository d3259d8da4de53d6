#include "worker/tokens/refresh_token.h"

#include <algorithm>
#include <utility>

#include "pronghorn/secrets.h"
#include "worker/crypto/base64.h"
#include "worker/state/keys/digest.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kFamilyBytes = 16;
constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kMostWords = 4;
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

std::vector<RefreshToken> parse_refresh_tokens(std::string_view text) {
  std::vector<RefreshToken> tokens;
  for (std::size_t words = 0; !text.empty() && words < kMostWords; ++words) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    auto token = parse_refresh_token(word);
    if (token && std::ranges::find(tokens, token->text, &RefreshToken::text) == tokens.end()) {
      tokens.push_back(std::move(*token));
    }
  }
  return tokens;
}

}  // namespace pronghorn::worker
