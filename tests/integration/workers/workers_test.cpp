// Several workers behind one address.
#include <signal.h>

#include <set>

#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

TEST_CASE("connections spread over the workers", "[workers]") {
  const ServerProcess server({.workers = 3});
  for (int i = 0; i < 150; ++i) REQUIRE(get(server.address(), "/hello").status == 200);
  std::uint64_t total = 0;
  const auto status = server.status();
  for (const auto& worker : status.at("workers")) {
    INFO(worker.dump());
    CHECK(worker.at("requests").get<std::uint64_t>() >= 20);  // of 50 expected each
    total += worker.at("requests").get<std::uint64_t>();
  }
  CHECK(total >= 150);
}

TEST_CASE("each worker is a process of its own, a child of the supervisor", "[workers]") {
  const ServerProcess server({.workers = 3});
  const auto pids = server.worker_pids();
  CHECK(std::set<pid_t>(pids.begin(), pids.end()).size() == 3);
  const auto children = children_without_guardians(server.pid());
  for (const pid_t pid : pids) CHECK(std::count(children.begin(), children.end(), pid) == 1);
}

TEST_CASE("a session is the same in every worker", "[workers][session]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 3, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  Browser browser(server.address());
  std::set<int> slots;
  for (int visit = 1; visit <= 60; ++visit) {
    const auto answer = browser.get("/visits").json();
    REQUIRE(answer.at("visits") == visit);
    slots.insert(answer.at("slot").get<int>());
  }
  CHECK(slots == std::set<int>{0, 1, 2});
  CHECK(Browser(server.address()).get("/visits").json().at("visits") == 1);  // somebody else
}

TEST_CASE("a session outlives the workers that wrote it", "[workers][session]") {
  const RedisProcess redis;
  ServerProcess server({.workers = 2, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  Browser browser(server.address());
  CHECK(browser.get("/visits").json().at("visits") == 1);
  const auto before = server.worker_pids();
  for (const pid_t pid : before) ::kill(pid, SIGKILL);
  CHECK(eventually(10s, [&] { return server.worker_pids() != before && server.wait_ready(2, 0ms); }));
  REQUIRE(server.wait_ready_status(200));
  CHECK(browser.get("/visits").json().at("visits") == 2);
}

TEST_CASE("a worker keeps no descriptor of a connection that has ended", "[workers]") {
  const ServerProcess server({.workers = 1});
  const pid_t pid = server.worker_pids().at(0);
  for (int i = 0; i < 20; ++i) (void)get(server.address(), "/hello");
  REQUIRE(eventually(5s, [&] { return server.status().at("totals").at("connections") == 1; }));
  const std::size_t before = open_descriptors(pid);
  for (int i = 0; i < 200; ++i) {
    HttpConnection connection(server.address());
    connection.send_raw(i % 2 == 0 ? "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n" : "nonsense\r\n\r\n");
    if (i % 3 == 0) {
      connection.abort();
    } else {
      (void)connection.read_response();
    }
  }
  CHECK(eventually(5s, [&] { return open_descriptors(pid) <= before; }));
}

TEST_CASE("what a worker inherits is its listeners, its channel and the scoreboard", "[workers]") {
  const ServerProcess server({.workers = 2});
  // 0..2, channel, scoreboard, two listeners, epoll, and what libuv needs: no descriptor of the other worker's.
  for (const pid_t pid : server.worker_pids()) CHECK(open_descriptors(pid) < 25);
}
