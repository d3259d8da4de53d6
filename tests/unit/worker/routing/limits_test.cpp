// Limits and sessions of routes, with a real Redis.
#include <string>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "support/processes/redis_process.h"

using namespace pronghorn;
using namespace std::chrono_literals;
using pronghorn::test::RedisProcess;

namespace {

int after_calls = 0;

void shop(App& app) {
  app.use([](Request&, Response&) { ++after_calls; });
  app.get("/limited", [](Request&) { return text("served"); }).limit(per_client(3, 60s));
  app.get("/throws", [](Request&) -> Response { throw not_found("nothing"); }).limit(per_client(5, 60s));
  app.get("/two", [](Request&) { return text("served"); })
      .limit(per_client(100, 60s))
      .limit(per_key(2, 60s, [](Request& request) { return std::string(request.header("x-user").value_or("")); }));
  app.get("/one-at-a-time", [](Request&) { return text("served"); }).limit(per_client(1, 60s).concurrent());
  app.get("/bad-key", [](Request&) { return text("never"); }).limit(per_key(2, 60s, [](Request& request) {
    return request.query<std::string>("user").value();
  }));
  app.get("/strict", [](Request&) { return text("served"); }).limit(per_client(3, 60s).deny_when_unavailable());
  app.get("/visits", [](Request& request) -> Task<Response> {
    Session session = co_await request.session();
    const auto count = co_await session.increment("visits");
    co_return text(std::to_string(count));
  });
  app.post("/set", [](Request& request) -> Task<Response> {
    Session session = co_await request.session();
    session.set("name", "Ada");
    if (request.query<bool>("throw").value_or(false)) throw std::runtime_error("after the change");
    co_return no_content();
  });
  app.get("/get", [](Request& request) -> Task<Response> {
    Session session = co_await request.session();
    co_return text(session.get("name").value_or("nobody"));
  });
  app.get("/ping", [](Request&) { return text("pong"); });
}

}  // namespace

TEST_CASE("a limit refuses requests above it with 429 and says when to retry", "[application][limits]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  for (int left = 2; left >= 0; --left) {
    const auto served = client.get("/limited");
    CHECK(served.status == 200);
    CHECK(served.header("ratelimit-policy") == R"("fixed";q=3;w=60)");
    CHECK(served.header("ratelimit").starts_with("\"fixed\";r=" + std::to_string(left) + ";t="));
  }
  after_calls = 0;
  const auto refused = client.get("/limited");
  CHECK(refused.status == 429);
  CHECK(std::stoi(refused.header("retry-after")) > 0);
  CHECK(refused.header("content-type") == "application/problem+json");
  CHECK(refused.body.find("request_id") != std::string::npos);
  CHECK(after_calls == 1);
}

TEST_CASE("an error of a limited route tells of the limit too", "[application][limits]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  const auto response = client.get("/throws");
  CHECK(response.status == 404);
  CHECK(response.header("ratelimit").starts_with(R"("fixed";r=4;t=)"));
}

TEST_CASE("all limits of a route must allow, and the response shows them all", "[application][limits]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  const auto first = client.get("/two", {{"X-User", "ada"}});
  CHECK(first.header("ratelimit-policy") == R"("fixed";q=100;w=60, "fixed-2";q=2;w=60)");
  CHECK(first.header("ratelimit").starts_with(R"("fixed";r=99;t=)"));
  CHECK(client.get("/two", {{"X-User", "ada"}}).status == 200);
  const auto refused = client.get("/two", {{"X-User", "ada"}});
  CHECK(refused.status == 429);
  CHECK(refused.header("ratelimit").find(R"("fixed-2";r=0;t=)") != std::string::npos);
  CHECK(client.get("/two", {{"X-User", "bob"}}).status == 200);
}

TEST_CASE("a concurrency limit counts a request until its response is sent", "[application][limits]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  for (int i = 0; i < 3; ++i) CHECK(client.get("/one-at-a-time").status == 200);
}

TEST_CASE("an exception in the key of a limit is an error of the application", "[application][limits]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  CHECK(client.get("/bad-key").status == 500);
}

TEST_CASE("without Redis limits allow or deny as the route says, and sessions answer 503", "[application][limits]") {
  TestClient client(shop);
  for (int i = 0; i < 5; ++i) CHECK(client.get("/limited").status == 200);
  const auto denied = client.get("/strict");
  CHECK(denied.status == 503);
  CHECK_FALSE(denied.header("retry-after").empty());
  CHECK(client.get("/visits").status == 503);
  CHECK(client.get("/ping").status == 200);
}

TEST_CASE("a session lasts from request to request and differs between clients", "[application][session]") {
  const RedisProcess redis;
  TestClient ada(shop, {.redis = redis.url()});
  TestClient bob(shop, {.redis = redis.url()});
  CHECK(ada.get("/visits").body == "1");
  CHECK(bob.get("/visits").body == "1");
  CHECK(ada.get("/visits").body == "2");
  CHECK(ada.post("/set").status == 204);
  CHECK(ada.get("/get").body == "Ada");
  CHECK(bob.get("/get").body == "nobody");
  ada.clear_cookies();
  CHECK(ada.get("/get").body == "nobody");
}

TEST_CASE("a handler that throws writes nothing into its session", "[application][session]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  CHECK(client.get("/visits").body == "1");
  CHECK(client.post("/set?throw=1").status == 500);
  CHECK(client.get("/get").body == "nobody");
}

TEST_CASE("a change that Redis cannot accept is 503, never a success", "[application][session]") {
  RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  CHECK(client.get("/visits").body == "1");
  redis.stop();
  const auto response = client.post("/set");
  CHECK(response.status == 503);
  CHECK_FALSE(response.header("retry-after").empty());
}

TEST_CASE("the on_error hook makes the answer to a refused request, which keeps its fields", "[application][limits]") {
  const RedisProcess redis;
  TestClient client(
      [](App& app) {
        app.get("/limited", [](Request&) { return text("served"); }).limit(per_client(1, 60s));
        app.on_error([](Request&, const ErrorAnswer& answer) { return html("<h1>Slow down</h1>", answer.status); });
      },
      {.redis = redis.url()});
  CHECK(client.get("/limited").status == 200);
  const auto refused = client.get("/limited");
  CHECK(refused.status == 429);
  CHECK(refused.body == "<h1>Slow down</h1>");
  CHECK(refused.header("RateLimit").find(";r=0") != std::string::npos);
  CHECK(std::stoi(refused.header("Retry-After")) > 0);
}
