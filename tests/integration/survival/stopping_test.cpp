// Workers that are killed while the server stops.
#include <signal.h>

#include <string>
#include <vector>

#include "integration/survival/clients.h"
#include "support/catch.h"
#include "support/clients/http_client.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

std::vector<HttpConnection> begin_slow(const ServerProcess& server, int count) {
  std::vector<HttpConnection> connections;
  for (int i = 0; i < count; ++i) {
    REQUIRE(connections.emplace_back(server.address()).send_raw(request("GET", "/slow?ms=3000")));
  }
  return connections;
}

int in_flight(const ServerProcess& server, int slot) { return server.worker(slot).at("in_flight"); }

}  // namespace

TEST_CASE("while the server stops, a worker that drains takes up requests of one that is killed", "[survival][stop]") {
  ServerProcess server({.workers = 2});
  const auto workers = server.worker_pids();
  auto connections = begin_slow(server, 12);
  REQUIRE(eventually(10s, [&] { return in_flight(server, 0) + in_flight(server, 1) == 13; }));
  REQUIRE(in_flight(server, 0) > 1);
  REQUIRE(in_flight(server, 1) > 1);
  server.signal(SIGTERM);
  REQUIRE(eventually(10s, [&] { return server.log_has("closing idle connections"); }));
  REQUIRE(::kill(workers.at(0), SIGKILL) == 0);
  for (HttpConnection& connection : connections) {
    const HttpResponse response = connection.read_response();
    CHECK(response.status == 200);
    CHECK(response.header("Connection") == "close");
  }
  CHECK(server.wait_exit(10s).has_value());
}

TEST_CASE("while the server stops, connections that no worker is left for are closed, and the log says so",
          "[survival][stop]") {
  ServerProcess server({.workers = 1});
  const pid_t worker = server.worker_pids().at(0);
  auto connections = begin_slow(server, 2);
  REQUIRE(eventually(10s, [&] { return in_flight(server, 0) == 3; }));
  server.signal(SIGTERM);
  REQUIRE(eventually(10s, [&] { return server.log_has("closing idle connections"); }));
  REQUIRE(::kill(worker, SIGKILL) == 0);
  for (HttpConnection& connection : connections) CHECK(connection.closed_within(10s));
  CHECK(server.wait_exit(10s).has_value());
  CHECK(server.log_has("closed 2 connections of workers that were killed while the server stopped"));
}
