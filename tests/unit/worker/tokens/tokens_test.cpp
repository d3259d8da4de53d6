// Tokens as an application uses them, with a real Redis.
#include "pronghorn/token.h"

#include <stdexcept>
#include <string>

#include "support/eventually.h"
#include "unit/worker/tokens/token_shop.h"
#include "worker/exchange/exchange.h"
#include "worker/state/state_services.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

std::string refusal(const TokenOptions& options) {
  try {
    const Tokens tokens(options);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a token that was issued opens the routes that need one", "[token]") {
  TokenShop shop;
  const json pair = shop.login("&scopes=a+b&claims=%7B%22plan%22:%22gold%22%7D");
  const auto me = shop.client.get("/api/me", bearer(pair.at("access")));
  CHECK(me.status == 200);
  CHECK(json::parse(me.body) == json{{"sub", "ann"}, {"scopes", {"a", "b"}}, {"plan", "gold"}});
  CHECK(shop.client.get("/api/me", {{"authorization", "bEARER  " + pair.at("access").get<std::string>()}}).status ==
        200);
  CHECK(shop.client.post("/verify", pair.at("access").get<std::string>()).body == "ann");
}

TEST_CASE("a request without a token is told to bring one, without an error", "[token]") {
  TokenShop shop;
  for (const TestClient::Headers& headers : std::vector<TestClient::Headers>{
           {}, {{"Authorization", "Basic YTpi"}}, {{"Authorization", "Bearer"}}, {{"Authorization", "Bearertoken"}}}) {
    const auto response = shop.client.get("/api/me", headers);
    CHECK(response.status == 401);
    CHECK(response.header("www-authenticate") == "Bearer realm=\"shop\"");
    CHECK(response.header("content-type") == "application/problem+json");
  }
}

TEST_CASE("an invalid token is refused as RFC 6750 says", "[token]") {
  TokenShop shop;
  const std::string good = shop.access();
  for (const std::string& token : {std::string("x"), std::string("a.b.c"), good + "A", good.substr(1),
                                   std::string(9000, 'a'), std::string(5000, '.')}) {
    const auto response = shop.client.get("/api/me", bearer(token));
    CHECK(response.status == 401);
    CHECK(response.header("www-authenticate")
              .starts_with("Bearer realm=\"shop\", error=\"invalid_token\", error_description=\"the "));
  }
  const auto twice =
      shop.client.get("/api/me", {{"Authorization", "Bearer " + good}, {"Authorization", "Bearer " + good}});
  CHECK(twice.status == 400);
  CHECK(twice.header("www-authenticate") == "Bearer realm=\"shop\", error=\"invalid_request\"");
  CHECK(shop.client.get("/open").status == 500);  // request.token() without require_token()
}

TEST_CASE("a token without the scopes of a route is forbidden there", "[token]") {
  TokenShop shop;
  const std::string some = shop.login("&scopes=orders:read+orders:writer").at("access");
  const auto refused = shop.client.get("/orders", bearer(some));
  CHECK(refused.status == 403);
  CHECK(refused.header("www-authenticate") ==
        R"(Bearer realm="a \"b\"", error="insufficient_scope", scope="orders:read orders:write")");
  const std::string all = shop.login("&scopes=orders:write+x+orders:read").at("access");
  CHECK(shop.client.get("/orders", bearer(all)).status == 200);
  CHECK(shop.client.get("/orders", bearer("x"))
            .header("www-authenticate")
            .starts_with(R"(Bearer realm="a \"b\"", error="invalid)"));
}

TEST_CASE("tokens of another issuer, audience or key are refused", "[token]") {
  TokenShop shop;
  const std::string ours = shop.access();
  for (auto change : std::vector<std::function<void(TokenOptions&)>>{
           [](TokenOptions& options) { options.issuer = "bank"; },
           [](TokenOptions& options) { options.audience = "app"; },
           [](TokenOptions& options) { options.keys = key_set_from(new_key(KeyAlgorithm::ES256, "k1")); },
           [](TokenOptions& options) { options.keys = key_set_from(new_key(KeyAlgorithm::ES256, "k2")); }}) {
    TokenOptions options = shop_options();
    change(options);
    TokenShop other(options, shop.redis.url());
    CHECK(other.me(other.access()) == 200);
    CHECK(other.me(ours) == 401);
    CHECK(shop.me(other.access()) == 401);
  }
}

TEST_CASE("what became of tokens is counted", "[token]") {
  RedisProcess redis;
  TokenOptions options = shop_options();
  options.leeway = 0s;
  TestClient client(
      [options](App& app) {
        token_routes(options)(app);
        app.get("/counts", [](Request& request) {
          auto& counters = static_cast<worker::StateServices*>(request.exchange().state)->tokens.counters();
          json counts;
          for (std::size_t i = 0; i < kCounts; ++i) {
            const auto count = static_cast<Count>(i);
            const std::string_view path = facts_of(count).path;
            if (path.starts_with("tokens/")) counts[std::string(path.substr(7))] = counters[count].load();
          }
          return json_response(counts);
        });
      },
      {.redis = redis.url()});
  const auto login = [&client] { return json::parse(client.post("/login?user=ann").body); };
  const auto me = [&client](const std::string& token) { return client.get("/api/me", bearer(token)).status; };
  const json pair = login();
  const std::string access = pair.at("access"), refresh = pair.at("refresh");
  const std::string elsewhere = login().at("access");
  for (int i = 0; i < 3; ++i) CHECK(me(access) == 200);
  CHECK(me(access + "A") == 401);
  CHECK(client.get("/api/me").status == 401);  // without a token
  CHECK(client.post("/api/revoke", "", "text/plain", bearer(elsewhere)).status == 204);
  for (int i = 0; i < 2; ++i) CHECK(me(elsewhere) == 401);
  options.access = 1s;
  TestClient short_lived(token_routes(options), {.redis = redis.url()});
  const std::string old = json::parse(short_lived.post("/login?user=ann").body).at("access");
  CHECK(eventually(20s, [&] { return me(old) == 401; }, 200ms));
  CHECK(client.post("/refresh", refresh).status == 200);
  CHECK(client.post("/refresh", refresh).status == 401);
  CHECK(client.post("/refresh", "nonsense").status == 401);
  CHECK(client.post("/refresh", refresh).status == 401);  // its family is gone
  json counts = json::parse(client.get("/counts").body);
  CHECK(counts.at("accepted") >= 4);
  CHECK(counts.at("expired") == 1);
  CHECK(counts.at("revoked") == 2);
  CHECK(counts.at("invalid") == 1);
  CHECK(counts.at("refreshed") == 1);
  CHECK(counts.at("not_refreshed") == 2);
  CHECK(counts.at("reused") == 1);
  CHECK(counts.at("unavailable") == 0);
  const std::string last = login().at("access");
  redis.kill();
  CHECK(eventually(20s, [&] { return me(last) == 503; }));
  CHECK(json::parse(client.get("/counts").body).at("unavailable") >= 1);
}

TEST_CASE("a new key signs after a reload, and the old one still verifies", "[token]") {
  TokenShop old;
  const std::string access = old.access();
  json old_half = json::parse(es256_key());
  old_half.erase("d");
  TokenOptions options = shop_options();
  options.keys = key_set_from(json{{"keys", {json::parse(new_key(KeyAlgorithm::EdDSA, "k2")), old_half}}}.dump());
  TokenShop renewed(options, old.redis.url());
  CHECK(renewed.me(access) == 200);
  CHECK(renewed.me(renewed.access()) == 200);
  CHECK(old.me(renewed.access()) == 401);
}

TEST_CASE("keys are loaded when they are needed, and again for a key that is not known", "[token]") {
  const std::string first = new_key(KeyAlgorithm::ES256, "first");
  int loads = 0;
  TokenOptions options = shop_options();
  options.keys = {};
  options.load_keys = [&loads, first](Worker&) -> Task<KeySet> {
    ++loads;
    co_return key_set_from(first);
  };
  TokenShop shop(options);
  CHECK(loads == 0);
  CHECK(shop.me(shop.access()) == 200);
  CHECK(loads == 1);
  TokenShop other(shop_options(), shop.redis.url());
  for (int i = 0; i < 5; ++i) CHECK(shop.me(other.access()) == 401);
  CHECK(loads == 1);  // not within 10 s
  options.load_keys = [](Worker&) -> Task<KeySet> { co_return KeySet(); };
  TokenShop without(options, shop.redis.url());
  CHECK(without.client.post("/login?user=ann").status == 500);
}

// Each of the requests that came before there were keys loaded them.
TEST_CASE("requests that come while the keys are loaded wait for them", "[token]") {
  int loads = 0;
  TokenOptions options = shop_options();
  options.keys = {};
  options.load_keys = [&loads](Worker&) -> Task<KeySet> {
    ++loads;
    co_await sleep_for(1ms);
    co_return key_set_from(es256_key());
  };
  const TokenShop shop;
  const auto setup = [&options](App& app) {
    const Tokens tokens(options);
    app.post("/verify-two", [tokens](Request& request) -> Task<Response> {
      const std::string token(co_await request.body());
      const auto [one, other] = co_await when_all(tokens.verify(request, token), tokens.verify(request, token));
      co_return text(one.subject() + other.subject());
    });
  };
  TestClient client(setup, {.redis = shop.redis.url()});
  CHECK(client.post("/verify-two", TokenShop(shop_options(), shop.redis.url()).access()).body == "annann");
  CHECK(loads == 1);
}

// It was used up although no new one could be signed.
TEST_CASE("a refresh token stays valid where no key can sign", "[token]") {
  TokenShop shop;
  const std::string token = shop.login().at("refresh");
  json public_half = json::parse(es256_key());
  public_half.erase("d");
  TokenOptions options = shop_options();
  options.keys = {};
  options.load_keys = [public_half](Worker&) -> Task<KeySet> { co_return key_set_from(public_half.dump()); };
  TokenShop verifier(options, shop.redis.url());
  CHECK(verifier.refresh(token).status == 500);
  CHECK(shop.refresh(token).status == 200);
}

TEST_CASE("tokens travel in cookies if the application wants it", "[token]") {
  TokenOptions options = shop_options();
  options.cookie = "access";
  options.refresh_path = "/refresh";
  TokenShop shop(options);
  const auto login = shop.client.post("/login?user=ann&cookie=1");
  std::vector<std::string> cookies;
  for (const auto& [name, value] : login.headers) {
    if (name == "Set-Cookie") cookies.push_back(value);
  }
  REQUIRE(cookies.size() == 2);
  for (const std::string& cookie : cookies) {
    CHECK(cookie.find("HttpOnly") != std::string::npos);
    CHECK(cookie.find("SameSite=Lax") != std::string::npos);
  }
  CHECK(cookies[1].starts_with("access_refresh="));
  CHECK(cookies[1].find("Path=/refresh") != std::string::npos);
  CHECK(shop.client.get("/api/me").status == 200);
  CHECK(shop.client.get("/api/me", bearer("x")).status == 401);  // the field takes precedence
  CHECK(shop.client.post("/refresh").status == 200);
  CHECK(shop.client.post("/logout?cookie=1", "x").status == 204);
  CHECK(shop.client.get("/api/me").status == 401);
}

// Browsers drop it, so the login seemed to work and no later request had a token.
TEST_CASE("a token that is too long for a cookie is not sent as one", "[token]") {
  TokenOptions options = shop_options();
  options.cookie = "access";
  TokenShop shop(options);
  const auto login = [&](std::size_t size) {
    return shop.client.post("/login?user=ann&cookie=1&scopes=" + std::string(size, 'a')).status;
  };
  CHECK(login(2500) == 200);
  CHECK(login(3500) == 500);
}

// Clients send the cookie of a longer path first, or one that a neighbouring host has set.
TEST_CASE("of several cookies with tokens the first that is accepted counts", "[token]") {
  TokenOptions options = shop_options();
  options.cookie = "access";
  options.revocable = GENERATE(true, false);
  TokenShop shop(options);
  const std::string good = shop.access(), other = json::parse(shop.client.post("/login?user=bob").body).at("access");
  const auto get = [&](const std::string& cookies) {
    shop.client.clear_cookies();
    return shop.client.get("/api/me", {{"Cookie", cookies}});
  };
  CHECK(get("access=; access=old; access=" + good + "; access=" + other).body.find("ann") != std::string::npos);
  CHECK(get("access=old; access=older").status == 401);
  CHECK(get("access=old; access=older").header("WWW-Authenticate").find("malformed") != std::string::npos);
  CHECK(get("access=; access=").status == 401);
  CHECK(get("access=1; access=2; access=3; access=4; access=" + good).status == 401);  // a bounded number is looked at
}

TEST_CASE("the cookies of tokens are as the prefix of their name demands, in any case", "[token]") {
  TokenOptions options = shop_options();
  options.refresh_path = "/refresh";
  for (const char* const name : {"__Host-access", "__host-access"}) {
    CAPTURE(name);
    options.cookie = name;
    TokenShop shop(options);
    int cookies = 0;
    for (const auto& [field, value] : shop.client.post("/login?user=ann&cookie=1").headers) {
      if (field != "Set-Cookie") continue;
      ++cookies;
      CHECK(value.find("; Path=/;") != std::string::npos);
      CHECK(value.find("; Secure") != std::string::npos);
    }
    CHECK(cookies == 2);
  }
}

TEST_CASE("claims that the server sets, and tokens that would be too large, are not issued", "[token]") {
  TokenShop shop;
  for (const char* name : {"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "sid"}) {
    CHECK(shop.client.post("/login?user=ann&claims=%7B%22" + std::string(name) + "%22:1%7D").status == 500);
  }
  for (const char* claims : {"[]", "7", "%7B", "%7B%22a%22:1,%22a%22:2%7D"}) {
    CHECK(shop.client.post("/login?user=ann&claims=" + std::string(claims)).status == 500);
  }
  CHECK(shop.client.post("/login?user=").status == 500);
  CHECK(shop.client.post("/login?user=%ff").status == 400);
  CHECK(shop.client.post("/login?user=" + std::string(7000, 'a')).status == 500);
  CHECK(shop.client.post("/login?user=%C3%A9%00%22%0A").status == 200);
  CHECK(shop.redis.command({"KEYS", "test:t:*"}).find('\n') == std::string::npos);  // only that of the last one
}

TEST_CASE("claims are read as what they are", "[token]") {
  TokenOptions options = shop_options();
  options.refresh = 0s;
  options.revocable = false;
  std::optional<Token> seen;
  TestClient client(
      [&](App& app) {
        const Tokens tokens(options);
        app.get("/", [tokens, &seen](Request& request) -> Task<Response> {
          const TokenPair pair = co_await tokens.issue(
              request, "ann", "a  b",
              R"({"text":"t","int":-7,"big":18446744073709551615,"half":0.5,"whole":3.0,"huge":1e300,"yes":true,"list":["a","b"],"mixed":["a",1]})");
          seen = co_await tokens.verify(request, pair.access);
          co_return text("ok");
        });
      },
      {});
  REQUIRE(client.get("/").status == 200);
  const Token& token = *seen;
  CHECK(token.get<std::string>("text") == "t");
  CHECK(token.get<int>("int") == -7);
  CHECK_FALSE(token.get<unsigned>("int"));
  CHECK_FALSE(token.get<std::int8_t>("exp"));
  CHECK_FALSE(token.get<std::int64_t>("big"));
  CHECK(token.get<std::uint64_t>("big") == 18446744073709551615U);
  CHECK_FALSE(token.get<std::uint32_t>("big"));
  CHECK(token.get<int>("whole") == 3);
  CHECK(token.get<unsigned>("whole") == 3);
  CHECK_FALSE(token.get<std::uint64_t>("huge"));
  CHECK_FALSE(token.get<float>("huge"));
  CHECK(token.get<double>("huge") == 1e300);
  CHECK_FALSE(token.get<int>("half"));
  CHECK(token.get<double>("half") == 0.5);
  CHECK(token.get<double>("int") == -7.0);
  CHECK(token.get<bool>("yes") == true);
  CHECK(token.get<std::vector<std::string>>("list") == std::vector<std::string>{"a", "b"});
  CHECK_FALSE(token.get<std::vector<std::string>>("mixed"));
  CHECK_FALSE(token.get<std::string>("int"));
  CHECK_FALSE(token.get<std::string>("none"));
  CHECK(token.scopes() == std::vector<std::string>{"a", "b"});
  CHECK(token.issuer() == "shop");
  CHECK(token.id().size() == 22);
  CHECK(token.expires() - token.issued() == 10min);
  CHECK(json::parse(token.claims()).at("sub") == "ann");
  seen.reset();
}

TEST_CASE("options that make no sense end the start", "[token]") {
  const auto changed = [](auto change) {
    TokenOptions options = shop_options();
    change(options);
    return refusal(options);
  };
  CHECK(refusal(shop_options()) == "");
  CHECK(changed([](auto& options) { options.issuer = ""; }) != "");
  CHECK(changed([](auto& options) { options.issuer = "a\nb"; }) != "");
  CHECK(changed([](auto& options) { options.keys = {}; }) != "");
  CHECK(changed([](auto& options) { options.load_keys = [](Worker&) -> Task<KeySet> { co_return KeySet(); }; }) != "");
  CHECK(changed([](auto& options) { options.access = 0s; }) != "");
  CHECK(changed([](auto& options) { options.refresh = -1s; }) != "");
  CHECK(changed([](auto& options) { options.family = 1h; }) != "");
  CHECK(changed([](auto& options) { options.leeway = 11min; }) != "");
  CHECK(changed([](auto& options) { options.revoked_within = 2h; }) != "");
  CHECK(changed([](auto& options) { options.cookie = "a b"; }) != "");
  CHECK(changed([](auto& options) { options.refresh_path = "refresh"; }) != "");
  CHECK(changed([](auto& options) { options.refresh_path = ""; }) != "");
  json half = json::parse(es256_key());
  half.erase("d");
  CHECK(changed([&half](auto& options) { options.keys = key_set_from(half.dump()); }) != "");
  CHECK(changed([&half](auto& options) {
          options.keys = key_set_from(half.dump());
          options.refresh = 0s;
        }) == "");
  const Tokens tokens(shop_options());
  CHECK_THROWS_AS(require_token(tokens, {.scopes = {"a b"}}), std::invalid_argument);
  CHECK_THROWS_AS(require_token(tokens, {.realm = "a\r\nb"}), std::invalid_argument);
}
