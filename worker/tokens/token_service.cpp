#include "worker/tokens/token_service.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "common/log.h"
#include "common/text/utf8.h"
#include "pronghorn/error.h"
#include "pronghorn/redis.h"
#include "pronghorn/secrets.h"
#include "worker/crypto/jwt/strict_json.h"
#include "worker/exchange/client_identity.h"
#include "worker/exchange/exchange.h"
#include "worker/fields/characters.h"
#include "worker/http/head/cookies.h"
#include "worker/state/state_services.h"

namespace pronghorn::detail {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using std::chrono::steady_clock;
using Family = worker::TokenStore::Family;

constexpr auto kYear = std::chrono::hours(366 * 24);
constexpr const char* kOwnClaims[] = {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "sid"};

std::int64_t now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(std::string("tokens: ") + what);
}

void check(const TokenOptions& options) {
  require(!options.issuer.empty() && is_utf8(options.issuer), "the issuer is empty or not UTF-8");
  require(is_utf8(options.audience), "the audience is not UTF-8");
  require(options.keys.empty() == static_cast<bool>(options.load_keys), "set either keys or load_keys");
  require(options.access >= 1s && options.access <= kYear, "access must be 1 s to 366 days");
  require(options.refresh >= 0s && options.refresh <= 10 * kYear, "refresh must be 0 s to 10 years");
  require(options.family >= options.refresh && options.family <= 10 * kYear,
          "family must be as long as refresh, and at most 10 years");
  require(options.leeway >= 0s && options.leeway <= 10min, "leeway must be 0 s to 10 minutes");
  require(options.cookie.empty() || worker::is_token(options.cookie), "the cookie's name is not a token of RFC 9110");
  require(worker::is_cookie_path(options.refresh_path),
          "refresh_path must begin with / and be visible ASCII without ;");
  require(options.revoked_within >= 0ms && options.revoked_within <= 1h, "revoked_within must be 0 s to 1 h");
}

worker::TokenStore& store_of(Services* services) {
  if (services == nullptr) throw RedisUnavailable("tokens need Redis");
  return static_cast<worker::StateServices*>(services)->tokens;
}
worker::TokenStore& store_of(Request& request) { return store_of(request.exchange().state); }

void count(Request& request, Count which) {
  if (request.exchange().state != nullptr) add(store_of(request).counters()[which]);
}

// The claims that the application adds, which Redis may have kept.
json further_claims(const std::string& text) {
  if (text.empty()) return json::object();
  auto claims = worker::parse_strict_object(text);
  require(claims.has_value(), "the claims are not a JSON object");
  for (const char* name : kOwnClaims) {
    if (claims->contains(name)) throw std::invalid_argument("tokens: the server sets the claim " + std::string(name));
  }
  return std::move(*claims);
}

}  // namespace

std::string quoted_string(std::string_view text) {
  std::string field = "\"";
  for (const char c : text) {
    if (c < ' ' || c == 0x7f) throw std::invalid_argument("a challenge cannot contain control characters");
    if (c == '"' || c == '\\') field += '\\';
    field += c;
  }
  return field + "\"";
}

// The subject, so that a client that has refreshed its token is the same one.
void note_owner(Request& request, const Token& token) {
  const std::string& who = token.subject().empty() ? token.claims() : token.subject();
  worker::identify(request).token = token.issuer() + "\n" + who;
}

HttpError invalid_token(std::string_view description, std::string_view realm) {
  return unauthorized(std::string(description),
                      "Bearer realm=" + quoted_string(realm) +
                          ", error=\"invalid_token\", error_description=" + quoted_string(description));
}

TokenService::TokenService(TokenOptions options)
    : options_(std::move(options)),
      owner_(std::to_string(options_.issuer.size()) + " " + options_.issuer + options_.audience),
      rules_{.issuer = options_.issuer,
             .audience = options_.audience,
             .leeway = options_.leeway.count(),
             .needs_id = options_.revocable},
      keys_(options_.keys.keys()) {
  check(options_);
  static_cast<void>(quoted_string(options_.issuer));
  require(keys_ == nullptr || options_.refresh == 0s || keys_->signer() != nullptr,
          "no key of the set can sign; set refresh to 0 s if the application only verifies");
}

Task<void> TokenService::load_keys(Request& request) {
  Task<worker::KeyLoader::Keys> loading = loader_.load([&] { return options_.load_keys(request.worker()); });
  worker::KeyLoader::Keys loaded = co_await std::move(loading);
  // Strangers can make a worker load the keys again; what it remembers is only lost if they have changed.
  if (keys_ != nullptr && keys_->same_as(*loaded)) co_return;
  keys_ = std::move(loaded);
  memory_.clear();  // tokens of keys that are no longer in the set
}

Task<void> TokenService::need_keys(Request& request) {
  if (keys_ != nullptr) co_return;
  // Keys that are in Redis would fail with a message about Redis, not about tokens.
  if (options_.revocable && options_.when_unavailable == WhenUnavailable::deny) store_of(request).require_redis();
  co_await load_keys(request);
}

TokenService::Found TokenService::look_up(std::string_view token) {
  if (token.size() > kMaxToken) return std::unexpected(TokenFault::malformed);
  const std::int64_t now = now_s();
  const worker::Sha256Digest digest = memory_.digest(token);
  if (auto known = memory_.find(digest, now)) return known;
  auto verified = worker::verify_jwt(token, *keys_, rules_, now);
  if (!verified) return std::unexpected(verified.error());
  const std::int64_t accepted_until = verified->expires + rules_.leeway;
  return memory_.remember(digest, std::move(*verified), accepted_until);
}

HttpError TokenService::refusal(Request& request, TokenFault fault) const {
  count(request, fault == TokenFault::expired ? Count::tokens_expired : Count::tokens_invalid);
  return invalid_token(worker::text_of(fault), options_.issuer);
}

Token TokenService::verify_now(Request& request, std::string_view token) {
  const Found found = look_up(token);
  if (!found) throw refusal(request, found.error());
  count(request, Count::tokens_accepted);
  return {std::shared_ptr<const VerifiedToken>(*found, &(*found)->token), request.exchange().state};
}

Task<Token> TokenService::verify(Request& request, std::string_view token) {
  co_await need_keys(request);
  Found found = look_up(token);
  if (!found && found.error() == TokenFault::unknown_key && options_.load_keys) {
    if (loader_.may_load()) co_await load_keys(request);
    loader_.require_loaded();
    found = look_up(token);
  }
  if (!found) throw refusal(request, found.error());
  if (options_.revocable) co_await require_unrevoked(request, *found);
  count(request, Count::tokens_accepted);
  co_return Token(std::shared_ptr<const VerifiedToken>(*found, &(*found)->token), request.exchange().state);
}

Task<void> TokenService::require_unrevoked(Request& request, std::shared_ptr<RememberedToken> token) {
  const auto asked = steady_clock::now();
  if (!token->revoked && token->unrevoked_until <= asked) {
    try {
      // A revocation by this worker may have been carried out meanwhile, and is not undone.
      const bool revoked = co_await store_of(request).revoked(token->token);
      token->revoked = token->revoked || revoked;
      token->unrevoked_until = asked + options_.revoked_within;
    } catch (const RedisUnavailable&) {  // logged by the Redis client
      count(request, Count::tokens_unavailable);
      if (options_.when_unavailable == WhenUnavailable::deny) throw;
    }
  }
  if (!token->revoked) co_return;
  count(request, Count::tokens_revoked);
  throw invalid_token("the token has been revoked", options_.issuer);
}

worker::SignatureKey& TokenService::require_signer() const {
  worker::SignatureKey* const key = keys_->signer();
  if (key == nullptr) throw std::logic_error("tokens: no key of the set can sign");
  return *key;
}

std::string TokenService::sign(const Family& content, std::string_view family) {
  worker::SignatureKey& key = require_signer();
  json claims = further_claims(content.claims);
  const std::int64_t now = now_s();
  claims["iss"] = options_.issuer;
  claims["sub"] = content.subject;
  claims["iat"] = now;
  claims["exp"] = now + options_.access.count();
  claims["jti"] = random_token(16);
  if (!options_.audience.empty()) claims["aud"] = options_.audience;
  if (!content.scope.empty()) claims["scope"] = content.scope;
  if (!family.empty()) claims["sid"] = family;
  std::string token = worker::sign_jwt(key, claims);
  require(token.size() <= kMaxToken, "the token would be longer than 8 KiB");
  return token;
}

Task<TokenPair> TokenService::issue(Request& request, std::string subject, std::string scopes, std::string claims) {
  require(!subject.empty(), "the subject is empty");
  // Both may be a client's text.
  if (!is_utf8(subject) || !is_utf8(scopes)) throw bad_request("the name of a user must be UTF-8");
  co_await need_keys(request);
  const Family content{.subject = std::move(subject), .scope = std::move(scopes), .claims = std::move(claims)};
  TokenPair pair;
  pair.expires_in = options_.access;
  if (options_.refresh == 0s) {
    pair.access = sign(content, "");
    co_return pair;
  }
  const worker::RefreshToken first = worker::new_refresh_token(owner_);
  pair.access = sign(content, first.family);
  pair.refresh = first.text;
  co_await store_of(request).begin_family(first.family, first.digest, content, options_.refresh, options_.family);
  co_return pair;
}

// Of several cookies the token that is good: another one would fail the request, or even end its own family. If none is,
// one that was used, because that is told.
Task<std::optional<worker::RefreshToken>> TokenService::pick(Request& request, std::string text) {
  std::vector<worker::RefreshToken> presented = worker::parse_refresh_tokens(text, owner_);
  if (presented.empty()) co_return std::nullopt;
  std::size_t chosen = 0;
  auto best = worker::TokenStore::Standing::unknown;
  for (std::size_t i = 0; presented.size() > 1 && i < presented.size(); ++i) {
    const auto standing = co_await store_of(request).standing(presented[i].family, presented[i].digest);
    if (standing <= best) continue;
    best = standing;
    chosen = i;
  }
  co_return std::move(presented[chosen]);
}

Task<TokenPair> TokenService::refresh(Request& request, std::string text) {
  require_refresh_tokens();
  Task<std::optional<worker::RefreshToken>> picking = pick(request, std::move(text));
  const std::optional<worker::RefreshToken> presented = co_await std::move(picking);
  if (!presented) {
    count(request, Count::tokens_not_refreshed);
    throw invalid_token("the refresh token is malformed", options_.issuer);
  }
  co_await need_keys(request);
  static_cast<void>(require_signer());  // before the token is used up
  const worker::RefreshToken next = worker::next_refresh_token(*presented);
  using Outcome = worker::TokenStore::Rotation::Outcome;
  const worker::TokenStore::Rotation rotation = co_await store_of(request).rotate(
      presented->family, presented->digest, next.digest, options_.refresh, options_.access + options_.leeway);
  if (rotation.outcome == Outcome::reused) {
    mark_family_revoked(presented->family);
    count(request, Count::tokens_reused);
    log_warning("a refresh token was used twice: its family is revoked, and the user has to log in again",
                {{"request", request.id()}, {"subject", rotation.content.subject}});
    throw invalid_token("the refresh token was used before", options_.issuer);
  }
  if (rotation.outcome == Outcome::unknown) {
    count(request, Count::tokens_not_refreshed);
    throw invalid_token("the refresh token is unknown, expired or revoked", options_.issuer);
  }
  TokenPair pair;
  pair.access = sign(rotation.content, presented->family);
  pair.refresh = next.text;
  count(request, Count::tokens_refreshed);
  pair.expires_in = options_.access;
  co_return pair;
}

void TokenService::require_refresh_tokens() const {
  if (options_.refresh == 0s) throw std::logic_error("tokens: refresh is zero, so there are no refresh tokens");
}

void TokenService::require_revocable() const {
  if (!options_.revocable) throw std::logic_error("tokens: revocable is false, so no token can be revoked");
}

// How long any worker may still accept the token; clocks may differ by the leeway in both directions.
std::chrono::milliseconds TokenService::left_of(const VerifiedToken& token) const {
  return std::chrono::seconds(std::clamp<std::int64_t>(token.expires - now_s(), 0, 100LL * 366 * 86'400) +
                              2 * rules_.leeway);
}

void TokenService::mark_family_revoked(std::string_view family) {
  memory_.for_each([family](RememberedToken& known) {
    if (known.token.family == family) known.revoked = true;
  });
}

Task<void> TokenService::revoke(Token token) {
  require_revocable();
  co_await store_of(token.state()).revoke(token.verified(), left_of(token.verified()));
  memory_.for_each([&token](RememberedToken& known) {
    if (known.token.id == token.id()) known.revoked = true;
  });
}

Task<void> TokenService::revoke_family(Token token) {
  if (token.verified().family.empty()) {
    co_await revoke(std::move(token));
    co_return;
  }
  require_revocable();
  const auto left =
      std::max<std::chrono::milliseconds>(left_of(token.verified()), options_.access + 2 * options_.leeway);
  co_await store_of(token.state()).end_family(token.verified().family, left);
  mark_family_revoked(token.verified().family);
}

Task<void> TokenService::revoke_family(Request& request, std::string text) {
  require_refresh_tokens();
  for (const worker::RefreshToken& presented : worker::parse_refresh_tokens(text, owner_)) {
    co_await store_of(request).end_family(presented.family, options_.access + 2 * options_.leeway);
    mark_family_revoked(presented.family);
  }
}

}  // namespace pronghorn::detail
