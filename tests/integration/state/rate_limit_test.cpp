// GET /limited and /limited/KIND: 10 requests per 10 s for each client, counted once for all workers.
#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

TEST_CASE("of 50 parallel requests exactly 10 are allowed", "[limit]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 3, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  std::vector<HttpConnection> connections;
  for (int i = 0; i < 50; ++i) connections.emplace_back(server.address());
  for (HttpConnection& connection : connections) connection.send_raw("GET /limited HTTP/1.1\r\nHost: a\r\n\r\n");
  int allowed = 0;
  int refused = 0;
  for (HttpConnection& connection : connections) {
    const HttpResponse response = connection.read_response();
    CHECK(response.header("RateLimit-Policy") == R"("fixed";q=10;w=10)");
    CHECK_FALSE(response.has("RateLimit-Limit"));
    if (response.status == 200) {
      ++allowed;
      CHECK_FALSE(response.has("Retry-After"));
    } else {
      ++refused;
      CHECK(response.status == 429);
      CHECK(response.header("RateLimit").starts_with(R"("fixed";r=0;t=)"));
      CHECK(std::stoi(response.header("Retry-After")) >= 1);
      CHECK(std::stoi(response.header("Retry-After")) <= 10);
      CHECK(response.header("Content-Type") == "application/problem+json");
    }
  }
  CHECK(allowed == 10);
  CHECK(refused == 40);
}

TEST_CASE("the remaining requests are counted down", "[limit]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  for (int left = 9; left >= 0; --left) {
    CHECK(get(server.address(), "/limited").header("RateLimit").starts_with("\"fixed\";r=" + std::to_string(left)));
  }
  CHECK(get(server.address(), "/limited").status == 429);
}

TEST_CASE("requests are allowed again after the window has ended", "[limit]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  for (int i = 0; i < 11; ++i) (void)get(server.address(), "/limited");
  REQUIRE(get(server.address(), "/limited").status == 429);
  // Ends the window early.
  const std::string key = redis.command({"KEYS", "*:l:*"});
  REQUIRE(std::stol(redis.command({"PTTL", key})) > 0);
  CHECK(redis.command({"PEXPIRE", key, "1"}) == "1");
  CHECK(eventually(5s, [&] { return get(server.address(), "/limited").status == 200; }));
}

TEST_CASE("clients are counted apart", "[limit]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url(), .listen = {"127.0.0.1:0", "[::1]:0"}});
  REQUIRE(server.wait_ready_status(200));
  for (int i = 0; i < 11; ++i) (void)get(server.address(0), "/limited");
  CHECK(get(server.address(0), "/limited").status == 429);
  CHECK(get(server.address(1), "/limited").status == 200);
}

TEST_CASE("without Redis a limit allows, and /status counts it", "[limit]") {
  const ServerProcess server({.workers = 1, .redis = "none"});
  for (int i = 0; i < 15; ++i) CHECK(get(server.address(), "/limited").status == 200);
  CHECK(server.status().at("totals").at("limits_unavailable") == 15);
}

TEST_CASE("every kind of limit of the demo allows 10 of 30 requests", "[limit]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  for (const std::string kind : {"fixed", "sliding", "bucket", "gcra"}) {
    CAPTURE(kind);
    std::vector<HttpConnection> connections;
    for (int i = 0; i < 30; ++i) {
      connections.emplace_back(server.address()).send_raw("GET /limited/" + kind + " HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    int allowed = 0;
    for (HttpConnection& connection : connections) {
      const HttpResponse response = connection.read_response();
      CHECK(response.header("RateLimit-Policy") == "\"" + kind + "\";q=10;w=10");
      allowed += response.status == 200 ? 1 : 0;
    }
    // Bucket and GCRA allow one more each second.
    CHECK(allowed >= 10);
    CHECK(allowed < 20);
  }
  CHECK(get(server.address(), "/limited/other").status == 404);
}

std::string places_taken(const RedisProcess& redis) {
  return redis.command({"ZCARD", redis.command({"KEYS", "*:l:*concurrent-*"})});
}

TEST_CASE("a concurrency limit holds across workers, and a client that disconnects frees its place", "[limit]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  const std::string slow = "GET /limited/concurrent?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n";
  auto one = std::make_unique<HttpConnection>(server.address());
  HttpConnection two(server.address());
  one->send_raw(slow);
  two.send_raw(slow);
  // Both run before the third request, which could otherwise take one of their places.
  REQUIRE(eventually(10s, [&] { return places_taken(redis) == "2"; }));
  const HttpResponse refused = get(server.address(), "/limited/concurrent");
  CHECK(refused.header("RateLimit-Policy") == R"("concurrent";q=2;qu="concurrent-requests")");
  CHECK(refused.header("RateLimit") == R"("concurrent";r=0)");
  CHECK(refused.header("Retry-After") == "1");
  one.reset();
  CHECK(eventually(10s, [&] { return get(server.address(), "/limited/concurrent").status == 200; }));
}

TEST_CASE("requests to which a trusted proxy gives the same id have a place each in a concurrency limit", "[limit]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 1, .redis = redis.url(), .arguments = {"--trusted-proxies", "127.0.0.1/32"}});
  REQUIRE(server.wait_ready_status(200));
  HttpConnection one(server.address());
  HttpConnection two(server.address());
  for (HttpConnection* each : {&one, &two}) {
    each->send_raw("GET /limited/concurrent?ms=60000 HTTP/1.1\r\nHost: a\r\nX-Request-Id: same\r\n\r\n");
  }
  CHECK(eventually(10s, [&] { return places_taken(redis) == "2"; }));
}

TEST_CASE("the option rate_limit_fields selects the older fields", "[limit]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 1, .redis = redis.url(), .arguments = {"--rate-limit-fields", "legacy"}});
  REQUIRE(server.wait_ready_status(200));
  const HttpResponse response = get(server.address(), "/limited");
  CHECK(response.header("RateLimit-Limit") == "10");
  CHECK(response.header("RateLimit-Remaining") == "9");
  CHECK(std::stoi(response.header("RateLimit-Reset")) <= 10);
  CHECK_FALSE(response.has("RateLimit"));
}
