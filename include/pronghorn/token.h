// Tokens: signed access tokens (JWT, RFC 7519) that a worker verifies by itself, and refresh tokens that are kept in
// Redis.
//
//   PRONGHORN_APP(app) {
//     Tokens tokens({.keys = key_set("keys.json"), .issuer = "shop", .access = 10min});
//     app.post("/login", [tokens](Request& request) -> Task<Response> {
//       ... co_await tokens.issue(request, user) ...
//     });
//     auto api = app.group("/api");
//     api.use(require_token(tokens));                       // then request.token().subject()
//   }
//
// An access token is short-lived and carries its claims. Its signature is verified once per worker; then the worker
// remembers it until it expires (the last 10,000 tokens, at most 16 MiB of them). Redis is only asked whether the token
// has been revoked. A refresh token is a random text that is exchanged, once, for a new pair. The pairs that follow
// from one login are a *family*. A refresh token that is presented a second time ends its family, because one of the
// two who presented it has stolen it.
//
// In Redis (NAME: option `name`, FAMILY: a digest): NAME:t:{FAMILY} is the hash of a family, without its tokens, only
// their SHA-256; NAME:t:{FAMILY}:x:ID marks a revoked access token, NAME:t:{FAMILY}:x all tokens of a family.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "pronghorn/detail/export.h"
#include "pronghorn/handler.h"
#include "pronghorn/key_set.h"
#include "pronghorn/limit.h"
#include "pronghorn/request.h"
#include "pronghorn/response.h"
#include "pronghorn/task.h"
#include "pronghorn/worker.h"

namespace pronghorn {

namespace detail {
class Services;
class TokenService;
struct VerifiedToken;
}  // namespace detail

// The longest access token in bytes, as text. Longer ones are neither issued nor read.
inline constexpr std::size_t kMaxToken = 8 * 1024;

// A verified access token. Cheap to copy; must not outlive the worker. Context: the loop thread.
class PRONGHORN_API Token {
 public:
  Token(std::shared_ptr<const detail::VerifiedToken> token, detail::Services* state) noexcept
      : token_(std::move(token)), state_(state) {}  // for Tokens

  [[nodiscard]] const std::string& id() const noexcept;       // the claim "jti"; empty if there is none
  [[nodiscard]] const std::string& subject() const noexcept;  // "sub"; empty if there is none
  [[nodiscard]] const std::string& issuer() const noexcept;   // "iss"
  [[nodiscard]] std::chrono::system_clock::time_point expires() const noexcept;  // "exp"
  [[nodiscard]] std::chrono::system_clock::time_point issued() const noexcept;   // "iat"; the epoch if there is none

  // The words of the claim "scope".
  [[nodiscard]] const std::vector<std::string>& scopes() const noexcept;
  [[nodiscard]] bool has_scope(std::string_view scope) const noexcept;

  // All claims as JSON text: an object without duplicate names, nested at most 16 levels deep.
  [[nodiscard]] const std::string& claims() const noexcept;
  // One claim as a T: std::string, bool, a number, or std::vector<std::string>. nullopt if there is none, or if it is
  // not a T: a number out of range, or one with a fraction for an integer. Parses the claims on each call.
  template <class T>
  [[nodiscard]] std::optional<T> get(std::string_view claim) const {
    if constexpr (std::is_same_v<T, std::string>) {
      return text_claim(claim);
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      return list_claim(claim);
    } else if constexpr (std::is_same_v<T, bool>) {
      return bool_claim(claim);
    } else if constexpr (std::is_floating_point_v<T>) {
      const auto number = number_claim(claim);
      using Limits = std::numeric_limits<T>;
      if (!number || *number < Limits::lowest() || *number > Limits::max()) return std::nullopt;
      return static_cast<T>(*number);
    } else if constexpr (std::is_unsigned_v<T>) {
      const auto number = unsigned_claim(claim);
      if (!number || !std::in_range<T>(*number)) return std::nullopt;
      return static_cast<T>(*number);
    } else {
      static_assert(std::is_integral_v<T>, "a claim is text, bool, a number or a std::vector<std::string>");
      const auto number = integer_claim(claim);
      if (!number || !std::in_range<T>(*number)) return std::nullopt;
      return static_cast<T>(*number);
    }
  }

  [[nodiscard]] const detail::VerifiedToken& verified() const noexcept { return *token_; }  // for the server
  [[nodiscard]] detail::Services* state() const noexcept { return state_; }                 // for the server

 private:
  [[nodiscard]] std::optional<std::string> text_claim(std::string_view name) const;
  [[nodiscard]] std::optional<std::vector<std::string>> list_claim(std::string_view name) const;
  [[nodiscard]] std::optional<bool> bool_claim(std::string_view name) const;
  [[nodiscard]] std::optional<double> number_claim(std::string_view name) const;
  [[nodiscard]] std::optional<std::int64_t> integer_claim(std::string_view name) const;
  [[nodiscard]] std::optional<std::uint64_t> unsigned_claim(std::string_view name) const;

  std::shared_ptr<const detail::VerifiedToken> token_;
  detail::Services* state_;
};

// What issue() and refresh() yield. The client gets all three; nobody else.
struct TokenPair {
  std::string access;
  std::string refresh;  // 66 characters; empty if TokenOptions::refresh is zero
  std::chrono::seconds expires_in{};
};

struct TokenOptions {
  // The keys that sign and verify. A set without a key that signs is for an application that only verifies.
  KeySet keys = {};
  // In place of `keys`: loads them in each worker when a token first needs them, for example from Redis or a file of
  // another program. Called again, at most every 10 s, when a token names a key that is not in the set. Requests that
  // come meanwhile wait for it. If it throws, they fail with what it threw, and so do those with a key that is not in
  // the set, until it is called again.
  std::function<Task<KeySet>(Worker&)> load_keys = {};

  std::string issuer;         // the claim "iss": set in new tokens, and required. Not empty.
  std::string audience = {};  // the claim "aud", the same; empty: not set, and tokens with an audience are refused
  // How long an access token is valid: 1 s to 366 days. Shorter is safer where revocation is off; each expiry costs the
  // client one refresh.
  std::chrono::seconds access = std::chrono::minutes(10);
  // How long a refresh token is valid, that is, how long a client may be away. Zero: no refresh tokens.
  std::chrono::seconds refresh = std::chrono::hours(30 * 24);
  // How long after the login its family ends, however often it was refreshed. At most 10 years.
  std::chrono::seconds family = std::chrono::hours(365 * 24);
  // How far the clocks of machines may differ: added to both ends of a token's validity. At most 10 minutes.
  std::chrono::seconds leeway = std::chrono::seconds(30);

  // Whether access tokens can be revoked. False: verifying needs no Redis, tokens need no "jti", and revoke() throws
  // std::logic_error.
  bool revocable = true;
  // How soon a revoked token is refused by every worker of every machine. Zero: at once, for one EXISTS in Redis per
  // request. Otherwise a worker remembers for so long that a token was not revoked; the worker that revokes it refuses
  // it at once in any case. At most 1 h.
  std::chrono::milliseconds revoked_within{0};
  // If Redis cannot say whether a token is revoked: deny answers 503 with Retry-After, allow accepts the token.
  WhenUnavailable when_unavailable = WhenUnavailable::deny;

  // Also reads the access token from the cookie of this name, if the request has no Authorization field; send_cookies()
  // sets it. Browsers also send it with requests that other sites cause: use csrf() (pronghorn/csrf.h) on routes that
  // change anything.
  std::string cookie = {};
  // The path to which a browser sends the refresh cookie, whose name is `cookie` followed by "_refresh": the path of
  // the route that calls refresh(). Begins with "/".
  std::string refresh_path = "/";
};

// Issues, verifies, refreshes and revokes tokens. A handle: copies share the keys and what is remembered. Make it in
// the setup function, so that each worker has its own.
//
// Context: the loop thread. The request must outlive the task.
// Errors:  RedisUnavailable (answered 503) if Redis cannot serve, and with --redis none where Redis is needed.
class PRONGHORN_API Tokens {
 public:
  // Throws std::invalid_argument if an option is out of range, if there are neither keys nor load_keys, and if no key
  // can sign although `refresh` is not zero.
  explicit Tokens(TokenOptions options);

  // Signs an access token for `subject`, and begins a family with its first refresh token: one round trip to Redis,
  // none if `refresh` is zero. `scopes` are words separated by blanks: "orders:read orders:write". `claims` is a JSON
  // object with further claims, or empty; it is kept for the tokens that follow. Call it only when the client has
  // proved to be `subject`.
  //
  // Throws std::invalid_argument if the subject is empty, if `claims` is not an object or sets a claim that the server
  // sets (iss, sub, aud, exp, nbf, iat, jti, scope, sid), or if the token would be longer than kMaxToken. Throws
  // HttpError 400 if the subject or the scopes, which may be a client's text, are not UTF-8.
  [[nodiscard]] Task<TokenPair> issue(Request& request, std::string subject, std::string scopes = {},
                                      std::string claims = {}) const;

  // Exchanges a refresh token, which comes from a client, for a new pair; the old one is used from now on. One round
  // trip. Throws HttpError 401 with WWW-Authenticate if it is malformed, unknown, expired or revoked, and if it was
  // used before: that also ends its family, with all its access tokens, and is logged. Those of Tokens with another
  // issuer or audience are unknown.
  //
  // There is no grace period in which a used token is accepted again, because it would help a thief as much as a client
  // that sends two requests at a time. A client must refresh once, and use the result for all its requests. A client
  // that lost the answer has to log in again, unless the route is idempotent() and it repeats its Idempotency-Key.
  [[nodiscard]] Task<TokenPair> refresh(Request& request, std::string refresh_token) const;

  // Revokes one access token until it expires. Its family goes on: with the refresh token the client gets a new one.
  [[nodiscard]] Task<void> revoke(Token token) const;
  // Ends the family of an access token: all its access tokens and its refresh token. For a logout. A token without a
  // family is revoked alone.
  [[nodiscard]] Task<void> revoke_family(Token token) const;
  // The same for whoever holds only a refresh token. Does nothing if it is malformed or unknown.
  [[nodiscard]] Task<void> revoke_family(Request& request, std::string refresh_token) const;

  // Verifies an access token that arrived elsewhere than in Authorization, such as in the first message of a socket.
  // Throws HttpError 401 with WWW-Authenticate.
  [[nodiscard]] Task<Token> verify(Request& request, std::string token) const;

  // Sets the pair as cookies: HttpOnly, SameSite=Lax, and Secure if the client used https or the name begins with
  // "__Host-" or "__Secure-". clear_cookies() deletes them. Throw std::logic_error if the option `cookie` is empty;
  // send_cookies() throws std::invalid_argument for a token that is too long for a cookie (4096 bytes with its name).
  void send_cookies(const Request& request, Response& response, const TokenPair& pair) const;
  void clear_cookies(const Request& request, Response& response) const;
  // The refresh token that the client sent as a cookie; empty if it sent none. A client may hold a cookie for each path
  // and domain: then the text has all of them, with blanks in between, and refresh() exchanges the first that is good,
  // revoke_family() ends the families of all; of at most four.
  [[nodiscard]] std::string refresh_cookie(const Request& request) const;

  [[nodiscard]] const std::shared_ptr<detail::TokenService>& service() const noexcept { return service_; }

 private:
  std::shared_ptr<detail::TokenService> service_;
};

struct RequireTokenOptions {
  std::vector<std::string> scopes = {};  // the token must have all of them
  std::string realm = {};                // in WWW-Authenticate; empty: the issuer
};

// A guard: lets a request pass if it carries a valid access token ("Authorization: Bearer TOKEN", RFC 6750), which the
// handler gets from request.token(). Otherwise the client gets, as a problem document with WWW-Authenticate:
//   401 without an error       no token, or another scheme
//   401 invalid_token          malformed, of an unknown key or algorithm, wrongly signed, expired, not yet valid,
//                              revoked, of another issuer or for another audience
//   403 insufficient_scope     a scope is missing
//   400 invalid_request        several Authorization fields
//   503 with Retry-After       Redis cannot say whether the token is revoked: see TokenOptions::when_unavailable
// Throws std::invalid_argument for a realm or scope with characters that a challenge cannot hold.
[[nodiscard]] PRONGHORN_API Middleware require_token(const Tokens& tokens, const RequireTokenOptions& options = {});

}  // namespace pronghorn
