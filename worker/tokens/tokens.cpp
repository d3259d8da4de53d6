// Implements Token and Tokens of pronghorn/token.h, and Request::token().
#include <algorithm>
#include <stdexcept>
#include <utility>

#include "pronghorn/token.h"
#include "worker/crypto/jwt/strict_json.h"
#include "worker/http/head/cookies.h"
#include "worker/tokens/token_service.h"

namespace pronghorn {
namespace {

using std::chrono::seconds;
using std::chrono::system_clock;

// What a claim is; null if there is none.
nlohmann::json claim_of(const std::string& claims, std::string_view name) {
  auto parsed = worker::parse_strict_object(claims);
  if (!parsed) return nullptr;
  const auto at = parsed->find(name);
  return at == parsed->end() ? nlohmann::json(nullptr) : std::move(*at);
}

// 7.0 is one, too. nullopt for a claim that a T cannot hold.
template <class T>
std::optional<T> whole_number(const nlohmann::json& claim) {
  if (!claim.is_number()) return std::nullopt;
  try {
    return claim.get<T>();
  } catch (const nlohmann::json::out_of_range&) {
    return std::nullopt;
  }
}

CookieOptions cookie_options(const Request& request, const std::string& name, std::string_view path, seconds max_age) {
  CookieOptions options;
  options.path = path;
  options.max_age = max_age;
  options.secure = request.scheme() == "https" || worker::cookie_prefix::secure(name);
  return options;
}

// A cookie with the prefix __Host- must have the path /.
std::string refresh_cookie_name(const TokenOptions& options) { return options.cookie + "_refresh"; }
std::string_view refresh_cookie_path(const TokenOptions& options) {
  return worker::cookie_prefix::of_one_host(options.cookie) ? std::string_view("/")
                                                            : std::string_view(options.refresh_path);
}

void require_cookie(const TokenOptions& options) {
  if (options.cookie.empty()) throw std::logic_error("tokens: the option cookie is empty");
}

}  // namespace

const Token& Request::token() const {
  const Token* const token = attachment<Token>();
  if (token == nullptr) throw std::logic_error("request.token() needs require_token() on the route");
  return *token;
}

const std::string& Token::id() const noexcept { return token_->id; }
const std::string& Token::subject() const noexcept { return token_->subject; }
const std::string& Token::issuer() const noexcept { return token_->issuer; }
system_clock::time_point Token::expires() const noexcept { return system_clock::time_point(seconds(token_->expires)); }
system_clock::time_point Token::issued() const noexcept { return system_clock::time_point(seconds(token_->issued)); }
const std::vector<std::string>& Token::scopes() const noexcept { return token_->scopes; }
bool Token::has_scope(std::string_view scope) const noexcept {
  return std::ranges::find(token_->scopes, scope) != token_->scopes.end();
}
const std::string& Token::claims() const noexcept { return token_->claims; }

std::optional<std::string> Token::text_claim(std::string_view name) const {
  const auto claim = claim_of(token_->claims, name);
  return claim.is_string() ? std::optional(claim.get<std::string>()) : std::nullopt;
}

std::optional<std::vector<std::string>> Token::list_claim(std::string_view name) const {
  const auto claim = claim_of(token_->claims, name);
  const bool valid = claim.is_array() && std::ranges::all_of(claim, [](const auto& one) { return one.is_string(); });
  return valid ? std::optional(claim.get<std::vector<std::string>>()) : std::nullopt;
}

std::optional<bool> Token::bool_claim(std::string_view name) const {
  const auto claim = claim_of(token_->claims, name);
  return claim.is_boolean() ? std::optional(claim.get<bool>()) : std::nullopt;
}

std::optional<double> Token::number_claim(std::string_view name) const {
  const auto claim = claim_of(token_->claims, name);
  return claim.is_number() ? std::optional(claim.get<double>()) : std::nullopt;
}

std::optional<std::int64_t> Token::integer_claim(std::string_view name) const {
  return whole_number<std::int64_t>(claim_of(token_->claims, name));
}

std::optional<std::uint64_t> Token::unsigned_claim(std::string_view name) const {
  return whole_number<std::uint64_t>(claim_of(token_->claims, name));
}

Tokens::Tokens(TokenOptions options) : service_(std::make_shared<detail::TokenService>(std::move(options))) {}

Task<TokenPair> Tokens::issue(Request& request, std::string subject, std::string scopes, std::string claims) const {
  return service_->issue(request, std::move(subject), std::move(scopes), std::move(claims));
}
Task<TokenPair> Tokens::refresh(Request& request, std::string refresh_token) const {
  return service_->refresh(request, std::move(refresh_token));
}
Task<void> Tokens::revoke(Token token) const { return service_->revoke(std::move(token)); }
Task<void> Tokens::revoke_family(Token token) const { return service_->revoke_family(std::move(token)); }
Task<void> Tokens::revoke_family(Request& request, std::string refresh_token) const {
  return service_->revoke_family(request, std::move(refresh_token));
}

Task<Token> Tokens::verify(Request& request, std::string token) const {
  const std::shared_ptr<detail::TokenService> service = service_;
  Token verified = co_await service->verify(request, token);
  detail::note_owner(request, verified);
  co_return verified;
}

void Tokens::send_cookies(const Request& request, Response& response, const TokenPair& pair) const {
  const TokenOptions& options = service_->options();
  require_cookie(options);
  response.cookie(options.cookie, pair.access, cookie_options(request, options.cookie, "/", pair.expires_in));
  if (pair.refresh.empty()) return;
  response.cookie(refresh_cookie_name(options), pair.refresh,
                  cookie_options(request, options.cookie, refresh_cookie_path(options), options.refresh));
}

void Tokens::clear_cookies(const Request& request, Response& response) const {
  const TokenOptions& options = service_->options();
  require_cookie(options);
  response.cookie(options.cookie, "", cookie_options(request, options.cookie, "/", seconds(0)));
  response.cookie(refresh_cookie_name(options), "",
                  cookie_options(request, options.cookie, refresh_cookie_path(options), seconds(0)));
}

std::string Tokens::refresh_cookie(const Request& request) const {
  const TokenOptions& options = service_->options();
  require_cookie(options);
  std::string tokens;
  for (const std::string_view cookie : request.cookies(refresh_cookie_name(options))) {
    if (!worker::is_refresh_token(cookie)) continue;
    tokens.append(tokens.empty() ? "" : " ").append(cookie);
  }
  return tokens;
}

}  // namespace pronghorn
