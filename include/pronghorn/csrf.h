// Protection of forms against cross-site request forgery: app.use(csrf()).
//
// A browser sends a user's cookies with whatever request another site makes it send. This middleware lets a request
// that may change something pass only if one of the application's own pages has sent it. It is for groups whose routes
// trust a cookie (sessions, Tokens with the option `cookie`); requests that carry their own Authorization do not need
// it.
#pragma once

#include <string>
#include <vector>

#include "pronghorn/detail/export.h"
#include "pronghorn/handler.h"
#include "pronghorn/request.h"
#include "pronghorn/task.h"

namespace pronghorn {

struct CsrfOptions {
  std::string field = "_csrf";          // of forms
  std::string header = "X-CSRF-Token";  // of scripts
  // Other origins whose pages may send requests, such as "https://shop.example".
  std::vector<std::string> origins = {};
};

// A wrap for unsafe methods: all but GET, HEAD, OPTIONS and TRACE. Answers 403 (a problem document) unless both are
// true:
//  - The browser does not say that another site sent the request: Sec-Fetch-Site, if present, is "same-origin" or
//    "none"; otherwise Origin, if present, is the request's own origin (request.scheme() and host()) or in `origins`.
//  - The header field, or else the form field, holds a token of the session.
// A request without a session is answered 403, a login form's too: its page creates the session by calling
// csrf_token().
//
// The field is found in an application/x-www-form-urlencoded body, which is then read whole, up to max_body, and in a
// multipart form, where it must come before all files and within the first 64 KiB, so that an upload need not be held
// in memory. The handler can still read either in any way. JSON and other bodies carry the token in the header field.
// Behind a proxy set trusted_proxies: otherwise the scheme and host of the request are not those that the browser
// knows.
//
// Costs: what request.session() costs. If Redis is down, the client gets 503. Throws std::invalid_argument for an empty
// field, an invalid header name, or an origin that is none.
[[nodiscard]] PRONGHORN_API Middleware csrf(const CsrfOptions& options = {});

// The token for a form or script of the page that is being made: put it into a hidden field, or a <meta> element. Kept
// in the session field "_pronghorn.csrf", which is created if need be, and lives as long as the session;
// session.rotate() keeps it, so rotate and destroy() at a logout. session.login() of another user ends it, so call this
// after the login; forms that were open before it are answered 403. Each call returns another text for the same token,
// so that compression cannot reveal it (BREACH).
[[nodiscard]] PRONGHORN_API Task<std::string> csrf_token(Request& request);

}  // namespace pronghorn
