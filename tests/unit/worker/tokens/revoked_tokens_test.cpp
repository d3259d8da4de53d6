// Revocation, and what becomes of it while Redis cannot serve.
#include "pronghorn/token.h"

#include <string>

#include "unit/worker/tokens/token_shop.h"

using namespace pronghorn;
using namespace pronghorn::test;

TEST_CASE("a revoked token is refused by every worker at once, others of its family are not", "[token]") {
  TokenShop shop;
  TokenShop second(shop_options(), shop.redis.url());
  const json pair = shop.login();
  const std::string access = pair.at("access");
  CHECK(shop.me(access) == 200);
  CHECK(second.me(access) == 200);
  CHECK(shop.client.post("/api/revoke", "", "text/plain", bearer(access)).status == 204);
  for (TokenShop* worker : {&shop, &second}) {
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

TEST_CASE("while Redis is down, tokens are neither accepted nor refreshed, unless the option allows it", "[token]") {
  TokenShop shop;
  TokenOptions lenient = shop_options();
  lenient.when_unavailable = WhenUnavailable::allow;
  TokenShop open(lenient, shop.redis.url());
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
  TokenShop shop(shop_options(), "none");
  CHECK(shop.client.post("/login?user=ann").status == 503);
  TokenOptions options = shop_options();
  options.refresh = 0s;
  options.revocable = false;
  TokenShop alone(options, "none");
  const json pair = alone.login();
  CHECK(pair.at("refresh") == "");
  CHECK(alone.me(pair.at("access")) == 200);
  CHECK(alone.me("x") == 401);
  CHECK(alone.client.post("/api/revoke", "", "text/plain", bearer(pair.at("access"))).status == 500);
  CHECK(alone.refresh("x").status == 500);
  CHECK(shop.me(pair.at("access")) == 503);
}

TEST_CASE("data of the wrong type in Redis fails a refresh and harms nothing else", "[token]") {
  TokenShop shop;
  const json pair = shop.login();
  const std::string key = shop.redis.command({"KEYS", "test:t:*"});
  shop.redis.command({"DEL", key});
  shop.redis.command({"SET", key, "text"});
  CHECK(shop.refresh(pair.at("refresh")).status == 500);
  CHECK(shop.me(pair.at("access")) == 200);
}

TEST_CASE("scripts that Redis has lost are sent again", "[token]") {
  TokenShop shop;
  const json pair = shop.login();
  shop.redis.command({"SCRIPT", "FLUSH"});
  CHECK(shop.refresh(pair.at("refresh")).status == 200);
}

TEST_CASE("with revoked_within a worker does not ask Redis for each request", "[token]") {
  TokenOptions options = shop_options();
  options.revoked_within = 1h;
  TokenShop shop(options);
  TokenShop second(options, shop.redis.url());
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
