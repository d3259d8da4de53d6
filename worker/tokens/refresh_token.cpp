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

std::string family_of(std::string_view family_part, std::string_view owner) {
  return sha256_hex("pronghorn refresh family " + std::string(family_part) + " " + std::string(owner)).substr(0, 32);
}

RefreshToken complete(std::string family_part, std::string family, std::string_view secret) {
  RefreshToken token;
  token.text = family_part + "." + std::string(secret);
  token.family = std::move(family);
  token.digest = sha256_hex(token.text);
  token.family_part = std::move(family_part);
  return token;
}

}  // namespace

RefreshToken new_refresh_token(std::string_view owner) {
  std::string part = random_token(kFamilyBytes);
  std::string family = family_of(part, owner);
  return complete(std::move(part), std::move(family), random_token(kSecretBytes));
}

RefreshToken next_refresh_token(const RefreshToken& current) {
  return complete(current.family_part, current.family, random_token(kSecretBytes));
}

bool is_refresh_token(std::string_view text) {
  return text.size() == kText && text[kFamilyText] == '.' && decode_base64(text.substr(0, kFamilyText)) &&
         decode_base64(text.substr(kFamilyText + 1));
}

std::optional<RefreshToken> parse_refresh_token(std::string_view text, std::string_view owner) {
  if (!is_refresh_token(text)) return std::nullopt;
  const std::string_view part = text.substr(0, kFamilyText);
  return complete(std::string(part), family_of(part, owner), text.substr(kFamilyText + 1));
}

std::vector<RefreshToken> parse_refresh_tokens(std::string_view text, std::string_view owner) {
  std::vector<RefreshToken> tokens;
  for (std::size_t words = 0; !text.empty() && words < kMostWords; ++words) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    auto token = parse_refresh_token(word, owner);
    if (token && std::ranges::find(tokens, token->text, &RefreshToken::text) == tokens.end()) {
      tokens.push_back(std::move(*token));
    }
  }
  return tokens;
}

}  // namespace pronghorn::worker
