// Middleware that comes with Pronghorn: app.use(compression()); app.use(cors({.origins = {"https://shop.example"}}));
//
// Context: construct it in the setup function. All of it is after middleware: it changes every response of its group,
//          errors too, and does not turn a plain handler into a coroutine.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "pronghorn/detail/export.h"
#include "pronghorn/handler.h"

namespace pronghorn {

struct CompressionOptions {
  std::size_t min_size = 1024;  // bytes; smaller bodies are sent as they are. Streams are always compressed.
};

// Compresses responses with br, zstd or gzip, whichever Accept-Encoding prefers (RFC 9110 section 12.5.3; in this order
// if several are equal). Only content types that shrink are compressed; never a response with Content-Encoding, a digest
// (Content-Digest, Repr-Digest) or "Cache-Control: no-transform", with status 204, 206 or 304, or a file (put a
// "page.html.br" beside it, see Group::serve_files). A strong ETag becomes weak. Every compressible response gets Vary.
//
// Each write of a stream is flushed immediately. Use this middleware first, so that it runs last. Do not compress
// responses that contain both a secret and text that an attacker can choose: their size reveals the secret (BREACH).
[[nodiscard]] PRONGHORN_API Middleware compression(const CompressionOptions& options = {});

// Selects the sites whose pages may use the group's routes (the CORS protocol of the Fetch standard).
struct CorsOptions {
  // Exact origins, such as "https://shop.example" or "http://localhost:3000"; {"*"} allows any.
  std::vector<std::string> origins;
  // Methods that a page may use. Empty: all methods of the path.
  std::vector<std::string> methods = {};
  // Request fields that a page may set beside the CORS-safelisted ones. {"*"}: any but Authorization.
  std::vector<std::string> headers = {"Content-Type"};
  // Response fields that a page may read beside the CORS-safelisted ones. {"*"}: any.
  std::vector<std::string> exposed_headers = {};
  bool credentials = false;               // whether requests may carry cookies; excludes "*" everywhere
  std::chrono::seconds max_age{10 * 60};  // how long a browser may cache the answer to a preflight; 0: not at all
};

// Adds CORS headers to responses for these origins, and answers their preflights (OPTIONS with
// Access-Control-Request-Method) with 204; they need no route for OPTIONS and skip the group's guards. Where there is a
// route for OPTIONS, it answers them, behind the guards, with the CORS headers added. Responses to other origins carry
// no CORS headers, so the browser hides them; with "*" all responses carry them, because they may come from a cache.
// Throws std::invalid_argument for an origin that is not as browsers send it, an invalid method or field name, and for
// credentials together with "*".
[[nodiscard]] PRONGHORN_API Middleware cors(const CorsOptions& options);

// Values of header fields. Empty text: the field is not sent.
struct SecurityHeadersOptions {
  // Who may show pages in a frame: "'none'", "'self'", or a list of sources, as in the directive frame-ancestors of
  // Content-Security-Policy. Old browsers get the equivalent X-Frame-Options if there is one.
  std::string frame_ancestors = "'none'";
  std::string content_security_policy = {};  // further directives, such as "default-src 'self'"
  std::string referrer_policy = "strict-origin-when-cross-origin";
  std::string cross_origin_opener_policy = "same-origin";
  std::string cross_origin_resource_policy = {};  // such as "same-origin"
  std::string permissions_policy = {};            // such as "camera=(), geolocation=()"
  // max-age of Strict-Transport-Security, which is sent only if the client used https. 0: not sent.
  std::chrono::seconds hsts_max_age{365 * 24 * 60 * 60};
  bool hsts_subdomains = false;
};

// Adds header fields that restrict browsers, always "X-Content-Type-Options: nosniff". Does not replace a field that
// the handler has set. Throws std::invalid_argument for a value with a control character.
[[nodiscard]] PRONGHORN_API Middleware security_headers(const SecurityHeadersOptions& options = {});

}  // namespace pronghorn
