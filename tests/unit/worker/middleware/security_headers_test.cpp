// security_headers().
#include "pronghorn/middleware.h"

#include <stdexcept>
#include <variant>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "worker/exchange/exchange.h"

using namespace pronghorn;

namespace {

void secured(App& app) {
  app.use(security_headers());
  app.get("/", [](Request&) { return text("home"); });
  app.get("/own", [](Request&) {
    Response response = text("framed");
    response.set("x-frame-options", "SAMEORIGIN").set("Content-Security-Policy", "frame-ancestors 'self'");
    return response;
  });
}

}  // namespace

TEST_CASE("security_headers() sets the fields that are missing, on errors too", "[security_headers]") {
  TestClient client(secured);
  for (const char* target : {"/", "/missing"}) {
    INFO(target);
    const auto response = client.get(target);
    CHECK(response.header("X-Content-Type-Options") == "nosniff");
    CHECK(response.header("X-Frame-Options") == "DENY");
    CHECK(response.header("Content-Security-Policy") == "frame-ancestors 'none'");
    CHECK(response.header("Referrer-Policy") == "strict-origin-when-cross-origin");
    CHECK(response.header("Cross-Origin-Opener-Policy") == "same-origin");
    CHECK(response.header("Strict-Transport-Security").empty());  // over http
  }
  const auto own = client.get("/own");
  CHECK(own.header("X-Frame-Options") == "SAMEORIGIN");
  CHECK(own.header("Content-Security-Policy") == "frame-ancestors 'self'");
}

TEST_CASE("security_headers() sends what its options say", "[security_headers]") {
  TestClient client([](App& app) {
    app.use(security_headers({.frame_ancestors = "https://portal.example",
                              .content_security_policy = "default-src 'self'",
                              .cross_origin_opener_policy = "",
                              .permissions_policy = "camera=()"}));
    app.get("/", [](Request&) { return text("home"); });
  });
  const auto response = client.get("/");
  CHECK(response.header("Content-Security-Policy") == "default-src 'self'; frame-ancestors https://portal.example");
  CHECK(response.header("X-Frame-Options").empty());  // which cannot name a site
  CHECK(response.header("Cross-Origin-Opener-Policy").empty());
  CHECK(response.header("Permissions-Policy") == "camera=()");
  CHECK_THROWS_AS(security_headers({.referrer_policy = "a\nb"}), std::invalid_argument);
}

TEST_CASE("Strict-Transport-Security is sent to clients that used https", "[security_headers]") {
  const auto field_for = [](const SecurityHeadersOptions& options, bool https) {
    worker::Peer peer;
    peer.https = https;
    worker::Exchange exchange;
    exchange.peer = &peer;
    Response response = text("home");
    const Middleware middleware = security_headers(options);
    std::get<Middleware::After>(middleware.function())(exchange.request, response);
    return std::string(response.header("Strict-Transport-Security").value_or(""));
  };
  CHECK(field_for({}, true) == "max-age=31536000");
  CHECK(field_for({}, false).empty());
  CHECK(field_for({.hsts_max_age = std::chrono::seconds(60), .hsts_subdomains = true}, true) ==
        "max-age=60; includeSubDomains");
  CHECK(field_for({.hsts_max_age = std::chrono::seconds(0)}, true).empty());
}
