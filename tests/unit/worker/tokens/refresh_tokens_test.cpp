// Refresh tokens and their families.
#include "pronghorn/token.h"

#include <string>
#include <vector>

#include "unit/worker/tokens/token_shop.h"

using namespace pronghorn;
using namespace pronghorn::test;

TEST_CASE("a refresh token is good for one pair", "[token]") {
  TokenShop shop;
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
  TokenShop shop;
  TokenShop second(shop_options(), shop.redis.url());
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
  TokenShop shop;
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

// Whoever has logged in to one of an application's two logins could exchange the token at the other one: for an access
// token of an issuer or audience that has never issued one to this user.
TEST_CASE("a refresh token is good only for its issuer and audience", "[token]") {
  TokenShop shop;
  const auto other = [&](const std::string& issuer, const std::string& audience) {
    TokenOptions options = shop_options();
    options.issuer = issuer;
    options.audience = audience;
    return options;
  };
  for (const auto& [issuer, audience] : {std::pair("staff", ""), {"shop", "staff"}, {"sho", "p"}}) {
    TokenShop staff(other(issuer, audience), shop.redis.url());
    const std::string refresh = shop.login().at("refresh");
    CHECK(staff.refresh(refresh).status == 401);
    CHECK(staff.client.post("/logout", refresh).status == 204);
    CHECK(shop.refresh(refresh).status == 200);
  }
}

// As for access tokens: a stale cookie of a longer path comes first. If that were presented, the client would be logged
// out, and its own stale token would count as stolen.
TEST_CASE("of several refresh cookies the one that is good is exchanged", "[token]") {
  TokenOptions options = shop_options();
  options.cookie = "access";
  TokenShop shop(options);
  const auto refresh = [&](const std::vector<std::string>& tokens) {
    std::string cookies;
    for (const std::string& token : tokens) cookies += (cookies.empty() ? "" : "; ") + ("access_refresh=" + token);
    shop.client.clear_cookies();
    return shop.client.post("/refresh", "", "text/plain", {{"Cookie", cookies}});
  };
  const std::string unknown = std::string(22, 'A') + "." + std::string(43, 'A');
  const std::string used = shop.login().at("refresh");
  const json second = json::parse(shop.refresh(used).body);
  const TestResponse third = refresh({"", "old", unknown, used, used, second.at("refresh")});
  REQUIRE(third.status == 200);
  CHECK(shop.me(json::parse(third.body).at("access")) == 200);

  CHECK(refresh({"old", "older"}).status == 401);
  CHECK(refresh({unknown, used}).body.find("used before") != std::string::npos);
  CHECK(shop.me(json::parse(third.body).at("access")) == 401);
}

TEST_CASE("a logout ends the families of all refresh cookies", "[token]") {
  TokenShop shop;
  const json one = shop.login(), other = shop.login();
  const std::string both = one.at("refresh").get<std::string>() + " " + other.at("refresh").get<std::string>();
  CHECK(shop.client.post("/logout", both).status == 204);
  CHECK(shop.me(one.at("access")) == 401);
  CHECK(shop.me(other.at("access")) == 401);
}

TEST_CASE("Redis has neither a refresh token nor what ends a family", "[token]") {
  TokenShop shop;
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
  TokenShop shop;
  TokenShop second(shop_options(), shop.redis.url());
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
  TokenShop shop(options);
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
