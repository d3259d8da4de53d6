// GET /cached/KEY with several workers, one of which is killed.
#include <signal.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

constexpr const char* kLock = "demo:c:{cold}:l";

std::string raw_get(const std::string& target) { return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n"; }

// Sends `count` requests at once, each on a connection of its own.
std::vector<HttpConnection> send_all(const ServerProcess& server, int count, const std::string& target) {
  std::vector<HttpConnection> connections;
  for (int i = 0; i < count; ++i) connections.emplace_back(server.address());
  for (HttpConnection& connection : connections) REQUIRE(connection.send_raw(raw_get(target)));
  return connections;
}

std::int64_t total(const ServerProcess& server, const char* name) {
  return server.status().at("totals").at("cache").at(name).get<std::int64_t>();
}

// The process that fills the key "cold"; waits until there is one other than `not_this`.
pid_t wait_filling(const RedisProcess& redis, pid_t not_this = 0) {
  pid_t pid = 0;
  REQUIRE(eventually(10s, [&] {
    const std::string claim = redis.command({"GET", kLock});  // MACHINE:PID:START/NUMBER
    const std::size_t colon = claim.find(':');
    if (colon == std::string::npos) return false;
    pid = std::stoi(claim.substr(colon + 1));
    return pid != not_this;
  }));
  return pid;
}

}  // namespace

TEST_CASE("200 concurrent requests for a cold key run one fill over two workers", "[cache]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  auto connections = send_all(server, 200, "/cached/cold?ms=300");
  std::set<std::string> bodies;
  for (HttpConnection& connection : connections) {
    const HttpResponse response = connection.read_response();
    CHECK(response.status == 200);
    CHECK(response.header("Content-Type") == "application/json");
    bodies.insert(response.body);
  }
  CHECK(bodies.size() == 1);
  CHECK(eventually(5s, [&] { return total(server, "fills") == 1; }));
  CHECK(total(server, "misses") >= 100);
  CHECK(total(server, "waits") >= 100);
}

TEST_CASE("a killed worker's fill is run by another one, and every client gets the same answer", "[cache]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  auto connections = send_all(server, 40, "/cached/cold?ms=700");
  const pid_t victim = wait_filling(redis);
  REQUIRE(::kill(victim, SIGSTOP) == 0);
  REQUIRE(redis.command({"PEXPIRE", kLock, "600000"}) == "1");  // so that only the death can free it
  REQUIRE(::kill(victim, SIGKILL) == 0);
  CHECK(wait_filling(redis, victim) != victim);
  std::set<std::string> bodies;
  for (HttpConnection& connection : connections) {
    const HttpResponse response = connection.read_response();  // of the victim's too: see docs/survival.md
    CHECK(response.status == 200);
    bodies.insert(response.body);
    CHECK(response.json().at("filled_by") != victim);
  }
  CHECK(bodies.size() == 1);
}

TEST_CASE("DELETE and POST /cached/tags invalidate for all workers", "[cache]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  const auto value = [&](const std::string& target) {
    return get(server.address(), target).json().at("value").get<std::string>();
  };
  const std::string a = value("/cached/a?ms=0&tag=t%20%7B");
  const std::string b = value("/cached/b?ms=0");
  for (int i = 0; i < 6; ++i) CHECK(value("/cached/a?ms=0") == a);
  CHECK(post(server.address(), "/cached/tags/t%20%7B").status == 204);
  const std::string again = value("/cached/a?ms=0");
  CHECK(again != a);
  CHECK(value("/cached/b?ms=0") == b);
  HttpConnection connection(server.address());
  CHECK(connection.request("DELETE", "/cached/a").status == 204);
  CHECK(connection.request("DELETE", "/cached/unknown").status == 204);
  const std::string too_long(1025, 'k');  // once a 500 for all but GET
  CHECK(get(server.address(), "/cached/" + too_long).status == 400);
  CHECK(connection.request("DELETE", "/cached/" + too_long).status == 400);
  CHECK(post(server.address(), "/cached/tags/" + too_long).status == 400);
  CHECK(get(server.address(), "/cached/a?tag=").status == 400);
  CHECK(value("/cached/a?ms=0") != again);
  CHECK(value("/cached/b?ms=0") == b);
}

TEST_CASE("without Redis /cached answers from its fill, and invalidation is refused with 503", "[cache]") {
  RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  redis.stop();
  const HttpResponse response = get(server.address(), "/cached/a?ms=1");
  CHECK(response.status == 200);
  HttpConnection connection(server.address());
  const HttpResponse refused = connection.request("DELETE", "/cached/a");
  CHECK(refused.status == 503);
  CHECK(refused.has("Retry-After"));
  CHECK(eventually(5s, [&] { return total(server, "unavailable") > 0; }));
}

TEST_CASE("what write_behind has queued is saved before a worker stops, on_stop hooks included", "[cache]") {
  const RedisProcess redis;
  ServerProcess server({.app = app_path("apps/writes_behind"), .workers = 1, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  CHECK(post(server.address(), "/write").status == 204);
  CHECK(redis.command({"GET", "saved:posted"}) == "(nil)");
  REQUIRE(server.stop());
  CHECK(redis.command({"GET", "saved:posted"}) == "1");
  CHECK(redis.command({"GET", "saved:stopped"}) == "2");
}
