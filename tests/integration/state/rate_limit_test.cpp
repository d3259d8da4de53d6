// GET /limited: 10 requests per 10 s for each client, counted once for all workers.
#include "support/catch.h"
#include "support/redis_process.h"
#include "support/server_process.h"

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
    CHECK(response.header("RateLimit-Limit") == "10");
    CHECK(std::stoi(response.header("RateLimit-Reset")) <= 10);
    if (response.status == 200) {
      ++allowed;
      CHECK_FALSE(response.has("Retry-After"));
    } else {
      ++refused;
      CHECK(response.status == 429);
      CHECK(response.header("RateLimit-Remaining") == "0");
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
    CHECK(get(server.address(), "/limited").header("RateLimit-Remaining") == std::to_string(left));
  }
  CHECK(get(server.address(), "/limited").status == 429);
}

TEST_CASE("the limit is over when its window is", "[limit]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  for (int i = 0; i < 11; ++i) (void)get(server.address(), "/limited");
  REQUIRE(get(server.address(), "/limited").status == 429);
  // The window, which Redis keeps, ends early.
  const std::string key = redis.command({"KEYS", "*"});
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

TEST_CASE("without Redis a limit allows, and says so in /status", "[limit]") {
  const ServerProcess server({.workers = 1, .redis = "none"});
  for (int i = 0; i < 15; ++i) CHECK(get(server.address(), "/limited").status == 200);
  CHECK(server.status().at("totals").at("limits_unavailable") == 15);
}
