// What is behind a Tokens handle: keys, the memory of verified tokens, and the rules for both kinds of tokens.
#pragma once

#include <chrono>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "pronghorn/token.h"
#include "worker/crypto/jwt/jwt.h"
#include "worker/state/tokens/token_store.h"
#include "worker/tokens/key_loader.h"
#include "worker/tokens/refresh_token.h"
#include "worker/tokens/token_memory.h"

namespace pronghorn::detail {

using worker::RememberedToken;
using worker::TokenFault;

// Context: loop thread; one per Tokens of a worker.
// Errors:  see pronghorn/token.h.
class TokenService {
 public:
  explicit TokenService(TokenOptions options);
  TokenService(const TokenService&) = delete;
  TokenService& operator=(const TokenService&) = delete;

  // Whether verify_now() is all that a token needs.
  [[nodiscard]] bool verifies_without_waiting() const noexcept { return !options_.revocable && !options_.load_keys; }
  [[nodiscard]] Token verify_now(Request& request, std::string_view token);
  // `realm` is for the challenge. Both must outlive the task.
  [[nodiscard]] Task<Token> verify(Request& request, std::string_view token);

  [[nodiscard]] Task<TokenPair> issue(Request& request, std::string subject, std::string scopes, std::string claims);
  [[nodiscard]] Task<TokenPair> refresh(Request& request, std::string text);
  [[nodiscard]] Task<void> revoke(Token token);
  [[nodiscard]] Task<void> revoke_family(Token token);
  [[nodiscard]] Task<void> revoke_family(Request& request, std::string text);

  [[nodiscard]] const TokenOptions& options() const noexcept { return options_; }

 private:
  using Found = std::expected<std::shared_ptr<RememberedToken>, TokenFault>;
  [[nodiscard]] Found look_up(std::string_view token);
  // Counts it.
  [[nodiscard]] HttpError refusal(Request& request, TokenFault fault) const;
  [[nodiscard]] Task<void> need_keys(Request& request);
  [[nodiscard]] Task<void> load_keys(Request& request);
  [[nodiscard]] Task<void> require_unrevoked(Request& request, std::shared_ptr<RememberedToken> token);

  // Throws std::logic_error if no key can sign.
  [[nodiscard]] worker::SignatureKey& require_signer() const;
  [[nodiscard]] std::string sign(const worker::TokenStore::Family& content, std::string_view family);
  [[nodiscard]] Task<std::optional<worker::RefreshToken>> pick(Request& request, std::string text);
  void require_refresh_tokens() const;
  void require_revocable() const;
  [[nodiscard]] std::chrono::milliseconds left_of(const VerifiedToken& token) const;
  void mark_family_revoked(std::string_view family);

  TokenOptions options_;
  std::string owner_;  // whose refresh tokens they are: those of the same issuer and audience
  worker::TokenRules rules_;
  std::shared_ptr<KeyRing> keys_;  // null until load_keys has been called
  worker::KeyLoader loader_;
  worker::TokenMemory memory_;
};

// Notes whose token the request carries elsewhere than in Authorization, for what keeps responses.
void note_owner(Request& request, const Token& token);
// What a request without a valid token gets.
[[nodiscard]] HttpError invalid_token(std::string_view description, std::string_view realm);
// A quoted string of a challenge. Throws std::invalid_argument for a character that it cannot hold.
[[nodiscard]] std::string quoted_string(std::string_view text);

}  // namespace pronghorn::detail
