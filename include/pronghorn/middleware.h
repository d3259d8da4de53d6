// Middleware that many applications want: app.use(compression()); app.use(cors({.origins = {"https://shop.example"}}));
//
// Context: made while the setup function runs. They change every response of their group, errors too, after the
// handler: none makes a plain handler wait.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "pronghorn/app.h"
#include "pronghorn/detail/export.h"

namespace pronghorn {

struct CompressionOptions {
  std::size_t min_size = 1024;  // bytes; smaller bodies are sent as they are. Streams are always compressed.
};

// Compresses responses with br, zstd or gzip, as Accept-Encoding prefers (RFC 9110 section 12.5.3; the first of these
// when several are equal). Only content types that shrink; never a response that has Content-Encoding or
// "Cache-Control: no-transform", one of status 204, 206 or 304, or a file (put a "page.html.br" beside it, see
// Group::serve_files). A strong ETag becomes weak. Vary tells caches, also when nothing was compressed.
//
// What a stream writes is sent at once, as without compression. Use it first, so that it runs last. Do not compress
// responses that hold both a secret and text that a stranger can choose: their size tells of the secret (BREACH).
[[nodiscard]] PRONGHORN_API Middleware compression(const CompressionOptions& options = {});

// Who else's pages may use the group's routes (the CORS protocol of the Fetch standard).
struct CorsOptions {
  // Exact origins, as "https://shop.example" or "http://localhost:3000"; or {"*"}: any.
  std::vector<std::string> origins;
  // Methods that a page may use. Empty: those that the path has.
  std::vector<std::string> methods = {};
  // Request fields that a page may set beside the harmless ones. {"*"}: any but Authorization.
  std::vector<std::string> headers = {"Content-Type"};
  // Response fields that a page may read beside the usual ones. {"*"}: any.
  std::vector<std::string> exposed_headers = {};
  bool credentials = false;               // whether requests may carry cookies; not together with a "*"
  std::chrono::seconds max_age{10 * 60};  // how long a browser may keep the answer to a preflight; 0: not at all
};

// Marks the responses to pages of those origins, and answers their preflights (OPTIONS with
// Access-Control-Request-Method) with 204; no route for OPTIONS is needed, and the group's guards do not see them.
// Others' requests are answered too, without the marks: the browser then keeps the answer from the page. Throws
// std::invalid_argument for what is no origin, method or field name, and for credentials together with "*".
[[nodiscard]] PRONGHORN_API Middleware cors(const CorsOptions& options);

// What is not set by the handler. Empty text: the field is not sent.
struct SecurityHeadersOptions {
  // Who may show pages in a frame: "'none'", "'self'", or a list of sources, as in the directive frame-ancestors of
  // Content-Security-Policy. X-Frame-Options says the same to old browsers when it can.
  std::string frame_ancestors = "'none'";
  std::string content_security_policy = {};  // the other directives, as "default-src 'self'"
  std::string referrer_policy = "strict-origin-when-cross-origin";
  std::string cross_origin_opener_policy = "same-origin";
  std::string cross_origin_resource_policy = {};  // as "same-origin"
  std::string permissions_policy = {};            // as "camera=(), geolocation=()"
  // Of Strict-Transport-Security, sent only when the client used https. 0: not sent.
  std::chrono::seconds hsts_max_age{365 * 24 * 60 * 60};
  bool hsts_subdomains = false;
};

// Fields that tell a browser to be careful, "X-Content-Type-Options: nosniff" always. What the handler has set wins.
// Throws std::invalid_argument for a value with a control character.
[[nodiscard]] PRONGHORN_API Middleware security_headers(const SecurityHeadersOptions& options = {});

}  // namespace pronghorn
