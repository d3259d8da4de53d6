// Implements require_token() of pronghorn/token.h: the Bearer scheme of RFC 6750.
#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pronghorn/error.h"
#include "pronghorn/token.h"
#include "worker/fields/bearer.h"
#include "worker/fields/text.h"
#include "worker/tokens/token_service.h"

namespace pronghorn {
namespace {

constexpr std::size_t kMostCookies = 4;

// RFC 6749 section 3.3: visible characters but " and \.
bool is_scope(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~' && c != '"' && c != '\\'; });
}

std::string join(const std::vector<std::string>& scopes) {
  std::string joined;
  for (const std::string& scope : scopes) joined.append(joined.empty() ? "" : " ").append(scope);
  return joined;
}

class TokenGuard {
 public:
  TokenGuard(std::shared_ptr<detail::TokenService> service, const RequireTokenOptions& options)
      : service_(std::move(service)),
        scopes_(options.scopes),
        realm_(options.realm.empty() ? service_->options().issuer : options.realm),
        challenge_("Bearer realm=" + detail::quoted_string(realm_)) {
    for (const std::string& scope : scopes_) {
      if (!is_scope(scope)) throw std::invalid_argument("require_token: \"" + scope + "\" is not a scope");
    }
  }

  // What may be the token of the request, not yet verified: one at least. A client may hold a cookie for each path and
  // domain.
  [[nodiscard]] std::vector<std::string_view> tokens_of(const Request& request) const {
    const std::string_view* found = nullptr;
    for (const Request::Header& field : request.headers()) {
      if (!worker::equal_ignoring_case(field.name, "authorization")) continue;
      if (found != nullptr) {
        throw HttpError(400, "there are several Authorization fields")
            .set("WWW-Authenticate", challenge_ + ", error=\"invalid_request\"");
      }
      found = &field.value;
    }
    if (found != nullptr) return {bearer(*found)};
    const std::string& cookie = service_->options().cookie;
    std::vector<std::string_view> tokens;
    if (!cookie.empty()) tokens = request.cookies(cookie);
    std::erase(tokens, "");
    if (tokens.empty()) throw unauthorized("this request needs an access token", challenge_);
    if (tokens.size() > kMostCookies) tokens.resize(kMostCookies);
    return tokens;
  }

  void accept(Request& request, Token token) const {
    for (const std::string& scope : scopes_) {
      if (token.has_scope(scope)) continue;
      throw HttpError(403, "the access token lacks the scope " + scope)
          .set("WWW-Authenticate",
               challenge_ + ", error=\"insufficient_scope\", scope=" + detail::quoted_string(join(scopes_)));
    }
    if (!service_->options().cookie.empty() && !request.header("authorization")) detail::note_owner(request, token);
    request.attach(std::move(token));
  }

  // Replaces the challenge of the service, which does not know the realm.
  [[nodiscard]] HttpError with_realm(const HttpError& error) const {
    return error.status() == 401 ? detail::invalid_token(error.what(), realm_) : error;
  }

  [[nodiscard]] detail::TokenService& service() const noexcept { return *service_; }

 private:
  [[nodiscard]] std::string_view bearer(std::string_view value) const {
    const auto token = worker::bearer_token(value);
    if (!token) throw unauthorized("this request needs an access token", challenge_);
    return *token;
  }

  std::shared_ptr<detail::TokenService> service_;
  std::vector<std::string> scopes_;
  std::string realm_;
  std::string challenge_;
};

// The first token that is accepted counts. If none is, the client gets what is wrong with the first.
Task<std::optional<Response>> run_guard(const TokenGuard& guard, Request& request) {
  std::optional<HttpError> refused;
  for (const std::string_view text : guard.tokens_of(request)) {
    try {
      Token token = co_await guard.service().verify(request, text);
      guard.accept(request, std::move(token));
      co_return std::nullopt;
    } catch (const HttpError& error) {
      if (error.status() != 401) throw;
      if (!refused) refused = guard.with_realm(error);
    }
  }
  throw std::move(*refused);
}

std::optional<Response> run_plain_guard(const TokenGuard& guard, Request& request) {
  std::optional<HttpError> refused;
  for (const std::string_view text : guard.tokens_of(request)) {
    try {
      guard.accept(request, guard.service().verify_now(request, text));
      return std::nullopt;
    } catch (const HttpError& error) {
      if (error.status() != 401) throw;
      if (!refused) refused = guard.with_realm(error);
    }
  }
  throw std::move(*refused);
}

}  // namespace

Middleware require_token(const Tokens& tokens, const RequireTokenOptions& options) {
  auto guard = std::make_shared<const TokenGuard>(tokens.service(), options);
  if (tokens.service()->verifies_without_waiting()) {
    return Middleware::Guard([guard](Request& request) { return run_plain_guard(*guard, request); });
  }
  return Middleware::CoroutineGuard([guard](Request& request) { return run_guard(*guard, request); });
}

}  // namespace pronghorn
