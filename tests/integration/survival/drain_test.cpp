// Workers that leave hand their connections over: a reload, a smaller number of workers and an upgrade close none.
#include <signal.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "integration/survival/clients.h"
#include "support/catch.h"
#include "support/clients/http_client.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

void check_kept(std::vector<HttpConnection>& connections) {
  for (HttpConnection& connection : connections) {
    const HttpResponse response = connection.get("/hello");
    CHECK(response.status == 200);
    CHECK_FALSE(response.has("Connection"));
  }
}

int handed_over(const ServerProcess& server) {
  return server.status().at("totals").at("connections_handed_over").at("drain");
}

// How many connections each ready worker has. Asks the supervisor: a full worker answers nobody.
std::vector<int> connections_of_ready(const ServerProcess& server) {
  const auto now = nlohmann::json::parse(server.control_command({"status", "--json"}).out);
  std::vector<int> all;
  for (const auto& worker : now.at("workers")) {
    if (worker.at("state") == "ready") all.push_back(worker.at("connections"));
  }
  return all;
}

}  // namespace

TEST_CASE("a reload keeps idle connections open", "[survival][reload]") {
  const ServerProcess server({.workers = 2});
  auto connections = keep(server, 16);
  for (int round = 0; round < 3; ++round) {
    REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
    check_kept(connections);
  }
  CHECK(handed_over(server) >= 16);
}

TEST_CASE("a reload of a single worker keeps idle connections open", "[survival][reload]") {
  const ServerProcess server({.workers = 1});
  auto connections = keep(server, 4);
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  check_kept(connections);
}

TEST_CASE("a rollback keeps idle connections open", "[survival][reload]") {
  const ServerProcess server({.workers = 2});
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  auto connections = keep(server, 8);
  REQUIRE(server.control_command({"rollback", "--wait"}).status == 0);
  check_kept(connections);
}

TEST_CASE("the connections of a worker that is scaled away go to the others", "[survival][scale]") {
  const ServerProcess server({.workers = 3});
  auto connections = keep(server, 24);
  REQUIRE(server.control_command({"scale", "1"}).status == 0);
  REQUIRE(server.wait_ready(1));
  check_kept(connections);
}

TEST_CASE("an upgrade of the program keeps idle connections open", "[survival][upgrade]") {
  const ServerProcess server({.workers = 2});
  auto connections = keep(server, 8);
  REQUIRE(server.control_command({"upgrade"}, 60s).status == 0);
  check_kept(connections);
  for (const pid_t pid : server.worker_pids()) REQUIRE(::kill(pid, SIGKILL) == 0);
  check_kept(connections);
}

TEST_CASE("a head that is half sent is completed after a reload", "[survival][reload]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw("GET /hello HTTP/1.1\r\nHost: loc"));
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  REQUIRE(connection.send_raw("alhost\r\n\r\n"));
  CHECK(connection.read_response().status == 200);
}

TEST_CASE("a request in flight ends where it began, and its connection moves on afterwards", "[survival][reload]") {
  const ServerProcess server({.workers = 1});
  const auto before = server.worker_pids();
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw("GET /slow?ms=1500 HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  REQUIRE(eventually(5s, [&] { return server.worker(0).at("in_flight") == 2; }));
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  const HttpResponse response = connection.read_response();
  CHECK(response.status == 200);
  CHECK_FALSE(response.has("Connection"));
  CHECK(eventually(5s, [&] { return !is_running(before.at(0)); }));
  CHECK(connection.get("/hello").status == 200);
  CHECK(server.status().at("totals").at("requests_replayed") == 0);
}

TEST_CASE("a worker whose connections were handed over has nothing to wait for", "[survival][reload]") {
  const ServerProcess server({.workers = 1});
  const auto before = server.worker_pids();
  auto connections = keep(server, 4);
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  CHECK(eventually(10s, [&] { return !is_running(before.at(0)); }));
  CHECK(handed_over(server) == 4);  // it waits only for connections that it still has
}

TEST_CASE("with survival_memory 0 a reload tells kept connections to close", "[survival][reload]") {
  const ServerProcess server({.workers = 1, .arguments = {"--survival-memory", "0"}});
  auto connections = keep(server, 2);
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  for (HttpConnection& connection : connections) CHECK(connection.closed_within(10s));
  CHECK(get(server.address(), "/hello").status == 200);
}

TEST_CASE("thousands of idle connections move with a reload", "[survival][reload][load]") {
  constexpr int kConnections = 2'000;
  const ServerProcess server({.workers = 1});
  auto connections = keep(server, kConnections);
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  check_kept(connections);
  CHECK(handed_over(server) == kConnections);
}

// A full worker accepted nothing, and nobody else accepted from its queue: a client of that queue waited until
// connections ended, although another worker had none.
TEST_CASE("new clients of a worker that connections of others have filled are served by one with room",
          "[survival][scale]") {
  constexpr int kMost = 16;  // of one worker; with as many that it takes up it accepts no more
  const ServerProcess server({.workers = 2, .arguments = {"--max-connections", std::to_string(kMost)}});
  std::vector<HttpConnection> kept;
  while (kept.size() < 2 * kMost) {
    HttpConnection connection(server.address());
    if (connection.get("/hello").status == 200) kept.push_back(std::move(connection));
  }
  REQUIRE(server.control_command({"scale", "1"}).status == 0);
  REQUIRE(eventually(10s, [&] { return connections_of_ready(server) == std::vector{2 * kMost}; }));
  REQUIRE(server.control_command({"scale", "2"}).status == 0);
  REQUIRE(eventually(10s, [&] { return connections_of_ready(server) == std::vector{2 * kMost, 0}; }));
  for (int i = 0; i < kMost / 2; ++i) CHECK(get(server.address(), "/hello").status == 200);
  check_kept(kept);
}
