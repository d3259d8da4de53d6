// An application that issues, verifies, refreshes and revokes tokens, with a Redis of its own.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "pronghorn/json.h"
#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "support/processes/redis_process.h"

namespace pronghorn::test {

using namespace std::chrono_literals;
using nlohmann::json;

inline const std::string& es256_key() {
  static const std::string key = new_key(KeyAlgorithm::ES256, "k1");
  return key;
}

inline TokenOptions shop_options() { return {.keys = key_set_from(es256_key()), .issuer = "shop", .access = 10min}; }

inline std::string query_text(Request& request, std::string_view name) { return request.query(name).value_or(""); }

inline Response show_token(Request& request) {
  const Token& token = request.token();
  return json_response(
      {{"sub", token.subject()}, {"scopes", token.scopes()}, {"plan", token.get<std::string>("plan").value_or("-")}});
}

// The routes of a login with these options.
inline std::function<void(App&)> token_routes(TokenOptions options) {
  return [options](App& app) {
    const Tokens tokens(options);
    app.post("/login", [tokens](Request& request) -> Task<Response> {
      const TokenPair pair = co_await tokens.issue(request, query_text(request, "user"), query_text(request, "scopes"),
                                                   query_text(request, "claims"));
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
    api.get("/me", show_token);
    api.post("/revoke", [tokens](Request& request) -> Task<Response> {
      co_await tokens.revoke(request.token());
      co_return no_content();
    });
    api.post("/revoke-family", [tokens](Request& request) -> Task<Response> {
      co_await tokens.revoke_family(request.token());
      co_return no_content();
    });
    app.get("/orders", show_token)
        .use(require_token(tokens, {.scopes = {"orders:read", "orders:write"}, .realm = "a \"b\""}));
    app.get("/open", show_token);
  };
}

inline TestClient::Headers bearer(const std::string& token) { return {{"Authorization", "Bearer " + token}}; }

class TokenShop {
 public:
  explicit TokenShop(TokenOptions options = shop_options(), const std::string& address = "")
      : client(token_routes(std::move(options)), {.redis = address.empty() ? redis.url() : address}) {}

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

// The times to live of the keys in Redis that match, in ms.
inline std::vector<long long> times_to_live(const RedisProcess& redis, const std::string& pattern) {
  std::vector<long long> times;
  std::istringstream keys(redis.command({"KEYS", pattern}));
  for (std::string key; std::getline(keys, key);) times.push_back(std::stoll(redis.command({"PTTL", key})));
  return times;
}

}  // namespace pronghorn::test
