// Tokens as an application uses them, with a real Redis.
#include "pronghorn/token.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "pronghorn/json.h"
#include "pronghorn/pronghorn.h"
#include "pronghorn/secrets.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "support/processes/redis_process.h"

using namespace pronghorn;
using namespace std::chrono_literals;
using nlohmann::json;
using pronghorn::test::RedisProcess;

namespace {

const std::string& es256_key() {
  static const std::string key = new_key(KeyAlgorithm::ES256, "k1");
  return key;
}

TokenOptions shop_options() { return {.keys = key_set_from(es256_key()), .issuer = "shop", .access = 10min}; }

std::string query(Request& request, std::string_view name) { return request.query(name).value_or(""); }

Response show(Request& request) {
  const Token& token = request.token();
  return json_response(
      {{"sub", token.subject()}, {"scopes", token.scopes()}, {"plan", token.get<std::string>("plan").value_or("-")}});
}

// The routes of a login with these options.
std::function<void(App&)> with(TokenOptions options) {
  return [options](App& app) {
    const Tokens tokens(options);
    app.post("/login", [tokens](Request& request) -> Task<Response> {
      const TokenPair pair =
          co_await tokens.issue(request, query(request, "user"), query(request, "scopes"), query(request, "claims"));
      Response response = json_response({{"access", pair.access}, {"refresh", pair.refresh}});
      if (request.query("cookie")) tokens.send_cookies(request, response, pair);
      co_return response;
    });
    app.post("/refresh", [tokens](Request& request) -> Task<Response> {
      const std::string_view body = co_await request.body();
      std::string presented(body);
      if (presented.empty()) presented = tokens.refresh_cookie(request);
      const TokenPair pair = co_await tokens.refresh(request, std::move(presented));
      co_return json_response({{"access", pair.access}, {"refresh", pair.refresh}});
    });
    app.post("/logout", [tokens](Request& request) -> Task<Response> {
      const std::string_view body = co_await request.body();
      std::string presented(body);
      co_await tokens.revoke_family(request, std::move(presented));
      Response response = no_content();
      if (request.query("cookie")) tokens.clear_cookies(request, response);
      co_return response;
    });
    app.post("/verify", [tokens](Request& request) -> Task<Response> {
      const std::string_view body = co_await request.body();
      std::string text_of_token(body);
      const Token token = co_await tokens.verify(request, std::move(text_of_token));
      co_return text(token.subject());
    });
    auto api = app.group("/api");
    api.use(require_token(tokens));
    api.get("/me", show);
    api.post("/revoke", [tokens](Request& request) -> Task<Response> {
      co_await tokens.revoke(request.token());
      co_return no_content();
    });
    api.post("/revoke-family", [tokens](Request& request) -> Task<Response> {
      co_await tokens.revoke_family(request.token());
      co_return no_content();
    });
    app.get("/orders", show)
        .use(require_token(tokens, {.scopes = {"orders:read", "orders:write"}, .realm = "a \"b\""}));
    app.get("/open", show);
  };
}

TestClient::Headers bearer(const std::string& token) { return {{"Authorization", "Bearer " + token}}; }

class Shop {
 public:
  explicit Shop(TokenOptions options = shop_options(), const std::string& address = "")
      : client(with(std::move(options)), {.redis = address.empty() ? redis.url() : address}) {}

  json login(const std::string& more = "") {
    const auto response = client.post("/login?user=ann" + more);
    REQUIRE(response.status == 200);
    return json::parse(response.body);
  }
  std::string access() { return login().at("access"); }
  int me(const std::string& token) { return client.get("/api/me", bearer(token)).status; }
  TestResponse refresh(const std::string& token) { return client.post("/refresh", token); }

  RedisProcess redis;
  TestClient client;
};

// The times to live of the keys in Redis that end like this, in ms.
std::vector<long long> times_to_live(const RedisProcess& redis, const std::string& pattern) {
  std::vector<long long> times;
  std::istringstream keys(redis.command({"KEYS", pattern}));
  for (std::string key; std::getline(keys, key);) times.push_back(std::stoll(redis.command({"PTTL", key})));
  return times;
}

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
  Shop shop;
  const json pair = shop.login("&scopes=a+b&claims=%7B%22plan%22:%22gold%22%7D");
  const auto me = shop.client.get("/api/me", bearer(pair.at("access")));
  CHECK(me.status == 200);
  CHECK(json::parse(me.body) == json{{"sub", "ann"}, {"scopes", {"a", "b"}}, {"plan", "gold"}});
  CHECK(shop.client.get("/api/me", {{"authorization", "bEARER  " + pair.at("access").get<std::string>()}}).status ==
        200);
  CHECK(shop.client.post("/verify", pair.at("access").get<std::string>()).body == "ann");
}

TEST_CASE("a request without a token is told to bring one, without an error", "[token]") {
  Shop shop;
  for (const TestClient::Headers& headers : std::vector<TestClient::Headers>{
           {}, {{"Authorization", "Basic YTpi"}}, {{"Authorization", "Bearer"}}, {{"Authorization", "Bearertoken"}}}) {
    const auto response = shop.client.get("/api/me", headers);
    CHECK(response.status == 401);
    CHECK(response.header("www-authenticate") == "Bearer realm=\"shop\"");
    CHECK(response.header("content-type") == "application/problem+json");
  }
}

TEST_CASE("an invalid token is refused as RFC 6750 says", "[token]") {
  Shop shop;
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
  Shop shop;
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
  Shop shop;
  const std::string ours = shop.access();
  for (auto change : std::vector<std::function<void(TokenOptions&)>>{
           [](TokenOptions& options) { options.issuer = "bank"; },
           [](TokenOptions& options) { options.audience = "app"; },
           [](TokenOptions& options) { options.keys = key_set_from(new_key(KeyAlgorithm::ES256, "k1")); },
           [](TokenOptions& options) { options.keys = key_set_from(new_key(KeyAlgorithm::ES256, "k2")); }}) {
    TokenOptions options = shop_options();
    change(options);
    Shop other(options, shop.redis.url());
    CHECK(other.me(other.access()) == 200);
    CHECK(other.me(ours) == 401);
    CHECK(shop.me(other.access()) == 401);
  }
}

TEST_CASE("a revoked token is refused by every worker at once, others of its family are not", "[token]") {
  Shop shop;
  Shop second(shop_options(), shop.redis.url());
  const json pair = shop.login();
  const std::string access = pair.at("access");
  CHECK(shop.me(access) == 200);
  CHECK(second.me(access) == 200);
  CHECK(shop.client.post("/api/revoke", "", "text/plain", bearer(access)).status == 204);
  for (Shop* worker : {&shop, &second}) {
    const auto refused = worker->client.get("/api/me", bearer(access));
    CHECK(refused.status == 401);
    CHECK(refused.header("www-authenticate").find("the token has been revoked") != std::string::npos);
  }
  CHECK(shop.client.post("/api/revoke", "", "text/plain", bearer(access)).status == 401);
  const auto next = shop.refresh(pair.at("refresh"));
  REQUIRE(next.status == 200);
  CHECK(second.me(json::parse(next.body).at("access")) == 200);
  const auto left = times_to_live(shop.redis, "test:t:*:x:*");
  REQUIRE(left.size() == 1);
  CHECK(left[0] > 0);
  CHECK(left[0] <= 3'600'000);
}

TEST_CASE("a refresh token is good for one pair", "[token]") {
  Shop shop;
  const json first = shop.login("&scopes=orders:read&claims=%7B%22plan%22:%22gold%22%7D");
  const auto answer = shop.refresh(first.at("refresh"));
  REQUIRE(answer.status == 200);
  const json second = json::parse(answer.body);
  CHECK(second.at("refresh") != first.at("refresh"));
  CHECK(second.at("refresh").get<std::string>().size() == 66);
  const auto me = shop.client.get("/api/me", bearer(second.at("access")));
  CHECK(json::parse(me.body) == json{{"sub", "ann"}, {"scopes", {"orders:read"}}, {"plan", "gold"}});
  CHECK(shop.me(first.at("access")) == 200);
  CHECK(shop.refresh(second.at("refresh")).status == 200);
}

TEST_CASE("a refresh token that is used twice ends its family, with its access tokens", "[token]") {
  Shop shop;
  Shop second(shop_options(), shop.redis.url());
  const json bystander = shop.login();
  const json first = shop.login();
  const json next = json::parse(shop.refresh(first.at("refresh")).body);
  CHECK(second.me(next.at("access")) == 200);
  const auto reused = second.refresh(first.at("refresh"));
  CHECK(reused.status == 401);
  CHECK(reused.header("www-authenticate").find("used before") != std::string::npos);
  CHECK(shop.refresh(next.at("refresh")).status == 401);
  CHECK(shop.me(next.at("access")) == 401);
  CHECK(second.me(first.at("access")) == 401);
  CHECK(shop.me(bystander.at("access")) == 200);
  CHECK(shop.refresh(bystander.at("refresh")).status == 200);
}

TEST_CASE("refresh tokens that were not issued are refused and end nothing", "[token]") {
  Shop shop;
  const json pair = shop.login();
  const std::string good = pair.at("refresh");
  const std::string unknown = random_token(16) + "." + random_token(32);
  for (const std::string& wrong :
       {std::string("x"), unknown, good.substr(0, 65), good + "A", good.substr(0, 22), std::string(100'000, 'a'),
        pair.at("access").get<std::string>(), good.substr(0, 22) + "." + std::string(43, '*'),
        good.substr(0, 22) + ":" + good.substr(23)}) {
    CHECK(shop.refresh(wrong).status == 401);
  }
  CHECK(shop.refresh(good).status == 200);
}

TEST_CASE("Redis has neither a refresh token nor what ends a family", "[token]") {
  Shop shop;
  const json pair = shop.login();
  const std::string refresh = pair.at("refresh");
  const std::string key = shop.redis.command({"KEYS", "test:t:*"});
  REQUIRE(key.find('\n') == std::string::npos);
  const std::string all = key + shop.redis.command({"HGETALL", key});
  CHECK(all.find(refresh.substr(0, 22)) == std::string::npos);
  CHECK(all.find(refresh.substr(23)) == std::string::npos);
  CHECK(all.find(pair.at("access").get<std::string>()) == std::string::npos);
}

TEST_CASE("a logout ends the family, with either token", "[token]") {
  Shop shop;
  Shop second(shop_options(), shop.redis.url());
  json pair = shop.login();
  CHECK(shop.client.post("/logout", pair.at("refresh").get<std::string>()).status == 204);
  CHECK(second.me(pair.at("access")) == 401);
  CHECK(second.refresh(pair.at("refresh")).status == 401);
  pair = shop.login();
  CHECK(shop.client.post("/api/revoke-family", "", "text/plain", bearer(pair.at("access"))).status == 204);
  CHECK(second.me(pair.at("access")) == 401);
  CHECK(second.refresh(pair.at("refresh")).status == 401);
  CHECK(shop.client.post("/logout", "nonsense").status == 204);
}

TEST_CASE("a family expires when it is not used, and at its end however often it is", "[token]") {
  TokenOptions options = shop_options();
  options.refresh = 1h;
  options.family = 2h;
  Shop shop(options);
  const json first = shop.login();
  auto left = times_to_live(shop.redis, "test:t:*");
  REQUIRE(left.size() == 1);
  CHECK(left[0] > 3'500'000);
  CHECK(left[0] <= 3'600'000);
  const std::string key = shop.redis.command({"KEYS", "test:t:*"});
  const auto until = [&](std::chrono::seconds ahead) {
    const std::string time = shop.redis.command({"TIME"});
    return std::to_string((std::stoll(time.substr(0, time.find('\n'))) + ahead.count()) * 1000);
  };
  shop.redis.command({"HSET", key, "until", until(60s)});
  const json second = json::parse(shop.refresh(first.at("refresh")).body);
  left = times_to_live(shop.redis, "test:t:*");
  REQUIRE(left.size() == 1);
  CHECK(left[0] <= 60'000);
  shop.redis.command({"HSET", key, "until", until(-1s)});
  CHECK(shop.refresh(second.at("refresh")).status == 401);
  CHECK(shop.redis.command({"EXISTS", key}) == "0");
}

TEST_CASE("while Redis is down, tokens are neither accepted nor refreshed, unless the option allows it", "[token]") {
  Shop shop;
  TokenOptions lenient = shop_options();
  lenient.when_unavailable = WhenUnavailable::allow;
  Shop open(lenient, shop.redis.url());
  const json pair = shop.login();
  const std::string access = pair.at("access");
  CHECK(shop.me(access) == 200);
  shop.redis.kill();
  const auto down = shop.client.get("/api/me", bearer(access));
  CHECK(down.status == 503);
  CHECK_FALSE(down.header("retry-after").empty());
  CHECK(shop.refresh(pair.at("refresh")).status == 503);
  CHECK(shop.client.post("/login?user=ann").status == 503);
  CHECK(shop.client.post("/logout", pair.at("refresh").get<std::string>()).status == 503);
  CHECK(shop.me("x") == 401);
  CHECK(shop.client.get("/api/me").status == 401);
  CHECK(open.me(access) == 200);
  CHECK(open.me("x") == 401);
  CHECK(open.refresh(pair.at("refresh")).status == 503);
}

TEST_CASE("without Redis only tokens that cannot be revoked work", "[token]") {
  Shop shop(shop_options(), "none");
  CHECK(shop.client.post("/login?user=ann").status == 503);
  TokenOptions options = shop_options();
  options.refresh = 0s;
  options.revocable = false;
  Shop alone(options, "none");
  const json pair = alone.login();
  CHECK(pair.at("refresh") == "");
  CHECK(alone.me(pair.at("access")) == 200);
  CHECK(alone.me("x") == 401);
  CHECK(alone.client.post("/api/revoke", "", "text/plain", bearer(pair.at("access"))).status == 500);
  CHECK(alone.refresh("x").status == 500);
  CHECK(shop.me(pair.at("access")) == 503);
}

TEST_CASE("data of the wrong type in Redis fails a refresh and harms nothing else", "[token]") {
  Shop shop;
  const json pair = shop.login();
  const std::string key = shop.redis.command({"KEYS", "test:t:*"});
  shop.redis.command({"DEL", key});
  shop.redis.command({"SET", key, "text"});
  CHECK(shop.refresh(pair.at("refresh")).status == 500);
  CHECK(shop.me(pair.at("access")) == 200);
}

TEST_CASE("scripts that Redis has lost are sent again", "[token]") {
  Shop shop;
  const json pair = shop.login();
  shop.redis.command({"SCRIPT", "FLUSH"});
  CHECK(shop.refresh(pair.at("refresh")).status == 200);
}

TEST_CASE("with revoked_within a worker does not ask Redis for each request", "[token]") {
  TokenOptions options = shop_options();
  options.revoked_within = 1h;
  Shop shop(options);
  Shop second(options, shop.redis.url());
  const json pair = shop.login();
  const std::string access = pair.at("access");
  CHECK(shop.me(access) == 200);
  CHECK(second.me(access) == 200);
  CHECK(shop.client.post("/api/revoke", "", "text/plain", bearer(access)).status == 204);
  CHECK(shop.me(access) == 401);  // the worker that revoked it
  CHECK(second.me(access) == 200);
  const json other = json::parse(shop.refresh(pair.at("refresh")).body);
  CHECK(shop.me(other.at("access")) == 200);
  CHECK(shop.refresh(pair.at("refresh")).status == 401);
  CHECK(shop.me(other.at("access")) == 401);
}

TEST_CASE("a new key signs after a reload, and the old one still verifies", "[token]") {
  Shop old;
  const std::string access = old.access();
  json old_half = json::parse(es256_key());
  old_half.erase("d");
  TokenOptions options = shop_options();
  options.keys = key_set_from(json{{"keys", {json::parse(new_key(KeyAlgorithm::EdDSA, "k2")), old_half}}}.dump());
  Shop renewed(options, old.redis.url());
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
  Shop shop(options);
  CHECK(loads == 0);
  CHECK(shop.me(shop.access()) == 200);
  CHECK(loads == 1);
  Shop other(shop_options(), shop.redis.url());
  for (int i = 0; i < 5; ++i) CHECK(shop.me(other.access()) == 401);
  CHECK(loads == 1);  // not within 10 s
  options.load_keys = [](Worker&) -> Task<KeySet> { co_return KeySet(); };
  Shop without(options, shop.redis.url());
  CHECK(without.client.post("/login?user=ann").status == 500);
}

TEST_CASE("tokens travel in cookies if the application wants it", "[token]") {
  TokenOptions options = shop_options();
  options.cookie = "access";
  options.refresh_path = "/refresh";
  Shop shop(options);
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

TEST_CASE("claims that the server sets, and tokens that would be too large, are not issued", "[token]") {
  Shop shop;
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
              R"({"text":"t","int":-7,"big":18446744073709551615,"half":0.5,"yes":true,"list":["a","b"],"mixed":["a",1]})");
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
