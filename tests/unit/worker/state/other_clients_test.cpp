// What is kept of a response to one client is not given to another, however the application knows who its client is. Only
// Authorization and the session once counted: tokens in cookies and client certificates did not.
#include <string>

#include "pronghorn/client_certificate.h"
#include "unit/worker/tokens/token_shop.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

ClientCertificate certificate_for(const std::string& name) {
  const std::string fingerprint(64, name.front());
  return {.subject = "CN=" + name,
          .issuer = "CN=ca",
          .serial = "01",
          .fingerprint = fingerprint,
          .not_after = {},
          .names = {}};
}

std::string user_of(Request& request) {
  const ClientCertificate* const shown = request.client_certificate();
  return shown != nullptr ? shown->subject : "nobody";
}

TokenOptions cookie_options() {
  TokenOptions options = shop_options();
  options.cookie = "access";
  return options;
}

// A site that greets its users, and takes orders from them.
class Site {
 public:
  TestClient client{
      [](App& app) {
        const Tokens tokens(cookie_options());
        app.post("/login", [tokens](Request& request) -> Task<Response> {
          const TokenPair pair = co_await tokens.issue(request, query_text(request, "user"));
          Response response = no_content();
          tokens.send_cookies(request, response, pair);
          co_return response;
        });
        const auto greet = [](Request& request) { return text(request.token().subject()); };
        app.get("/hello", greet).cached({.ttl = 100s}).use(require_token(tokens));
        app.post("/orders", greet).idempotent().use(require_token(tokens));
        app.get("/checked",
                [tokens](Request& request) -> Task<Response> {
                  std::string token(request.cookie("access").value_or(""));
                  if (token.empty()) co_return text("nobody");
                  const Token checked = co_await tokens.verify(request, std::move(token));
                  co_return text(checked.subject());
                })
            .cached({.ttl = 100s});
        app.get("/whom", [](Request& request) { return text(user_of(request)); }).cached({.ttl = 100s});
        app.post("/whom", [](Request& request) { return text(user_of(request)); }).idempotent();
        app.get("/time", [runs = 0](Request&) mutable { return text(std::to_string(++runs)); }).cached({.ttl = 100s});
      },
      {.redis = "temporary"}};

  void login(const std::string& user) {
    client.clear_cookies();
    REQUIRE(client.post("/login?user=" + user).status == 204);
  }
  std::string repeat(const std::string& path) {
    return client.post(path, "", "text/plain", {{"Idempotency-Key", "k"}}).body;
  }
};

}  // namespace

TEST_CASE("the page of a user whose token is in a cookie is not kept for others", "[cache][token]") {
  Site site;
  for (const char* const path : {"/hello", "/checked"}) {
    CAPTURE(path);
    for (const char* const user : {"ann", "bob", "ann"}) {
      site.login(user);
      CHECK(site.client.get(path).body == user);
    }
  }
  site.client.clear_cookies();
  CHECK(site.client.get("/hello").status == 401);
}

TEST_CASE("the page of a client with a certificate is not kept for others, unless nobody looked at it",
          "[cache][tls]") {
  Site site;
  CHECK(site.client.get("/whom").body == "nobody");
  site.client.over_tls();
  CHECK(site.client.get("/whom").body == "nobody");
  for (const char* const name : {"ann", "bob"}) {
    site.client.over_tls(certificate_for(name));
    CHECK(site.client.get("/whom").body == "CN=" + std::string(name));
  }
  const std::string kept = site.client.get("/time").body;
  site.client.over_tls(certificate_for("ann"));
  CHECK(site.client.get("/time").body == kept);
}

TEST_CASE("users whose token is in a cookie do not share an Idempotency-Key, and keep it when they refresh",
          "[idempotency][token]") {
  Site site;
  for (const char* const user : {"ann", "bob"}) {
    site.login(user);
    CHECK(site.repeat("/orders") == user);
    site.login(user);
    const TestResponse again = site.client.post("/orders", "", "text/plain", {{"Idempotency-Key", "k"}});
    CHECK(again.body == user);
    CHECK(again.header("Idempotency-Replayed") == "true");
  }
}

TEST_CASE("clients with different certificates do not share an Idempotency-Key", "[idempotency][tls]") {
  Site site;
  CHECK(site.repeat("/whom") == "nobody");
  for (const char* const name : {"ann", "bob"}) {
    site.client.over_tls(certificate_for(name));
    CHECK(site.repeat("/whom") == "CN=" + std::string(name));
  }
}
