// cors().
#include "pronghorn/middleware.h"

#include <stdexcept>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"

using namespace pronghorn;

namespace {

constexpr const char* kShop = "https://shop.example";

// /api: for one shop, with cookies, behind a guard. /open: for anyone. /: for nobody else.
void shop(App& app) {
  app.get("/", [](Request&) { return text("home"); });
  auto api = app.group("/api");
  api.use(cors({.origins = {kShop, "http://localhost:3000"},
                .headers = {"Content-Type", "X-Token"},
                .exposed_headers = {"ETag"},
                .credentials = true,
                .max_age = std::chrono::seconds(60)}));
  api.use([](Request& request) -> std::optional<Response> {
    if (!request.header("X-Token")) return problem(401);
    return std::nullopt;
  });
  api.get("/items", [](Request&) { return text("items"); });
  api.put("/items", [](Request&) { return no_content(); });
  api.get("/own", [](Request&) { return text("own"); });
  api.route("OPTIONS", "/own", [](Request&) { return text("what may be done"); });
  api.get("/fails", [](Request&) -> Response { throw std::runtime_error("mistake"); });
  auto open = app.group("/open");
  open.use(cors({.origins = {"*"}, .methods = {"GET"}}));
  open.get("/news", [](Request&) { return text("news"); });
  open.get("/own", [](Request&) { return text("own"); });
  open.route("OPTIONS", "/own", [](Request&) -> Task<Response> { co_return no_content(); });
  auto user = app.group("/users/{user}");
  user.use(cors({.origins = {kShop}}));
  user.use([](Request& request, Response& response) { response.set("X-User", request.param("user")); });
  user.get("/orders/{order}", [](Request&) { return text("order"); });
}

TestResponse preflight(std::string_view target, const std::string& origin, const std::string& method) {
  TestClient client(shop);
  return client.request("OPTIONS", target, {}, {{"Origin", origin}, {"Access-Control-Request-Method", method}});
}

TestResponse get(std::string_view target, const TestClient::Headers& headers) {
  TestClient client(shop);
  return client.get(target, headers);
}

constexpr const char* kAllowOrigin = "Access-Control-Allow-Origin";

}  // namespace

TEST_CASE("a preflight is answered for the group of the route that it asks about", "[cors]") {
  const auto allowed = preflight("/api/items", kShop, "PUT");
  CHECK(allowed.status == 204);
  CHECK(allowed.body.empty());
  CHECK(allowed.header(kAllowOrigin) == kShop);
  CHECK(allowed.header("Access-Control-Allow-Credentials") == "true");
  CHECK(allowed.header("Access-Control-Allow-Methods") == "GET, HEAD, OPTIONS, PUT");
  CHECK(allowed.header("Access-Control-Allow-Headers") == "Content-Type, X-Token");
  CHECK(allowed.header("Access-Control-Max-Age") == "60");
  CHECK(allowed.header("Access-Control-Expose-Headers").empty());
  CHECK(allowed.header("Vary") == "Origin");
  CHECK(preflight("/api/items", "http://localhost:3000", "GET").header(kAllowOrigin) == "http://localhost:3000");
}

// The after middleware of the application alone was run.
// Without them the browser's console names the missing origin and not the method.
TEST_CASE("a preflight for a method without a route has the headers of the path's group", "[cors]") {
  const auto refused = preflight("/api/items", kShop, "DELETE");
  CHECK(refused.status == 204);
  CHECK(refused.header(kAllowOrigin) == kShop);
  CHECK(refused.header("Access-Control-Allow-Methods") == preflight("/api/items", kShop, "PUT").header("Allow"));
}

TEST_CASE("OPTIONS without a preflight has the headers of the path's group", "[cors]") {
  TestClient client(shop);
  const auto options = client.request("OPTIONS", "/api/items", {}, {{"Origin", kShop}});
  CHECK(options.status == 204);
  CHECK(options.header("Allow") == "GET, HEAD, OPTIONS, PUT");
  CHECK(options.header(kAllowOrigin) == kShop);
  CHECK(options.header("Access-Control-Allow-Methods").empty());
  CHECK(client.request("OPTIONS", "/api/items").header("Vary") == "Origin");
  CHECK(client.request("OPTIONS", "/users/7/orders/1").header("X-User") == "7");
  CHECK(client.request("OPTIONS", "*", {}, {{"Origin", kShop}}).header(kAllowOrigin).empty());
}

TEST_CASE("a preflight of another origin, or for an unknown path, is not allowed", "[cors]") {
  for (const char* origin : {"https://shop.example.evil.example", "http://shop.example", "https://shop.example:444",
                             "https://SHOP.example", "null", ""}) {
    INFO(origin);
    const auto refused = preflight("/api/items", origin, "PUT");
    CHECK(refused.status == 204);
    CHECK(refused.header(kAllowOrigin).empty());
    CHECK(refused.header("Access-Control-Allow-Methods").empty());
    CHECK(refused.header("Vary") == "Origin");
  }
  CHECK(preflight("/api/missing", kShop, "GET").status == 404);
  CHECK(preflight("/", kShop, "GET").header(kAllowOrigin).empty());
}

TEST_CASE("responses to pages of an allowed origin carry CORS headers, errors too", "[cors]") {
  const auto items = get("/api/items", {{"Origin", kShop}, {"X-Token", "1"}});
  CHECK(items.body == "items");
  CHECK(items.header(kAllowOrigin) == kShop);
  CHECK(items.header("Access-Control-Allow-Credentials") == "true");
  CHECK(items.header("Access-Control-Expose-Headers") == "ETag");
  CHECK(items.header("Vary") == "Origin");
  CHECK(get("/api/items", {{"Origin", kShop}}).status == 401);
  CHECK(get("/api/items", {{"Origin", kShop}}).header(kAllowOrigin) == kShop);
  CHECK(get("/api/fails", {{"Origin", kShop}, {"X-Token", "1"}}).header(kAllowOrigin) == kShop);

  const auto stranger = get("/api/items", {{"Origin", "https://evil.example"}, {"X-Token", "1"}});
  CHECK(stranger.status == 200);
  CHECK(stranger.header(kAllowOrigin).empty());
  CHECK(stranger.header("Vary") == "Origin");
  CHECK(get("/api/items", {{"X-Token", "1"}}).header("Vary") == "Origin");
}

TEST_CASE("an error of a path is shown to the pages that may use its group", "[cors]") {
  TestClient client(shop);
  const TestClient::Headers headers{{"Origin", kShop}};
  const auto check = [&headers, &client](std::string_view method, std::string_view target, int status) {
    INFO(method << " " << target);
    const auto response = client.request(method, target, {}, headers);
    CHECK(response.status == status);
    CHECK(response.header(kAllowOrigin) == kShop);
    CHECK(response.header("Vary") == "Origin");
    return response;
  };
  CHECK(check("POST", "/api/items", 405).header("Allow") == "GET, HEAD, OPTIONS, PUT");
  check("GET", "/api/missing", 404);
  check("GET", "/api", 404);
  check("POST", "/api/missing/too", 404);
  check("QUERY", "/api/items", 501);
  CHECK(check("GET", "/users/7/nothing", 404).header("X-User") == "7");
  CHECK(check("POST", "/users/7/orders/1", 405).header("X-User") == "7");
  CHECK(check("GET", "/users/7/orders/1", 200).header("X-User") == "7");
  for (const char* target : {"/apis", "/ap", "/missing", "/users", "/users//nothing", "/api/../x"}) {
    INFO(target);
    CHECK(client.get(target, headers).header(kAllowOrigin).empty());
  }
}

TEST_CASE("a preflight is told the methods of a path that has a route for OPTIONS", "[cors]") {
  TestClient client(shop);
  const TestClient::Headers headers{{"Origin", kShop}, {"Access-Control-Request-Method", "GET"}, {"X-Token", "1"}};
  const auto own = client.request("OPTIONS", "/api/own", {}, headers);
  CHECK(own.body == "what may be done");
  CHECK(own.header("Access-Control-Allow-Methods") == "GET, HEAD, OPTIONS");
  CHECK(own.header("Allow") == "GET, HEAD, OPTIONS");
  const auto refused = client.request("OPTIONS", "/api/own");
  CHECK(refused.status == 401);
  CHECK(refused.header("Allow").empty());
  const auto open = preflight("/open/own", kShop, "GET");
  CHECK(open.header("Allow") == "GET, HEAD, OPTIONS");
  CHECK(open.header("Access-Control-Allow-Methods") == "GET");
}

TEST_CASE("a preflight is answered by middleware that asks for a parameter", "[cors]") {
  const auto allowed = preflight("/users/7/orders/1", kShop, "GET");
  CHECK(allowed.status == 204);
  CHECK(allowed.header("X-User") == "7");
}

TEST_CASE("a star allows any origin, and the response is the same for all", "[cors]") {
  const auto news = get("/open/news", {{"Origin", "https://anyone.example"}});
  CHECK(news.header(kAllowOrigin) == "*");
  CHECK(news.header("Vary").empty());
  CHECK(news.header("Access-Control-Allow-Credentials").empty());
  CHECK(get("/open/news", {}).header(kAllowOrigin) == "*");
  CHECK(preflight("/open/news", "null", "GET").header("Access-Control-Allow-Methods") == "GET");
}

TEST_CASE("OPTIONS that is no preflight is answered as before", "[cors]") {
  TestClient client(shop);
  const auto options = client.request("OPTIONS", "/api/items");
  CHECK(options.status == 204);
  CHECK(options.header("Allow") == "GET, HEAD, OPTIONS, PUT");
}

TEST_CASE("options of cors() that allow too much, or nothing, are refused", "[cors]") {
  CHECK_THROWS_AS(cors({.origins = {}}), std::invalid_argument);
  CHECK_THROWS_AS(cors({.origins = {"*"}, .credentials = true}), std::invalid_argument);
  CHECK_THROWS_AS(cors({.origins = {kShop}, .headers = {"*"}, .credentials = true}), std::invalid_argument);
  CHECK_THROWS_AS(cors({.origins = {kShop, "*"}}), std::invalid_argument);
  for (const char* origin : {"shop.example", "https://shop.example/", "https://Shop.example", "https://", "null",
                             "https://shop.example:443", "http://shop.example:80", "https://shop.example:",
                             "https://shop.example:0444", "https://shop.example\r\nX: y", "https://a b"}) {
    INFO(origin);
    CHECK_THROWS_AS(cors({.origins = {origin}}), std::invalid_argument);
  }
  CHECK_THROWS_AS(cors({.origins = {kShop}, .methods = {"GET,PUT"}}), std::invalid_argument);
  CHECK_THROWS_AS(cors({.origins = {kShop}, .max_age = std::chrono::seconds(-1)}), std::invalid_argument);
  CHECK_NOTHROW(cors({.origins = {"http://[::1]:8080"}}));
}
