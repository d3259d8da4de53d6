// Clients that send requests before they have the responses to those before, to a worker that serves others as well.
#include <signal.h>

#include <string>

#include "integration/survival/clients.h"
#include "support/catch.h"
#include "support/clients/http_client.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

// A GET of about 1 KiB.
std::string long_get(int id) {
  return request("GET", "/users/" + std::to_string(id), "X-Padding: " + std::string(950, 'p') + "\r\n\r\n");
}

void check_user(HttpConnection& connection, int id) {
  const HttpResponse response = connection.read_response();
  CHECK(response.status == 200);
  CHECK(response.json().at("id") == id);
}

// Once the worker has read something of another client, which has the read buffer then.
void kill_worker(const ServerProcess& server) {
  const auto victim = server.worker_pids().at(0);
  for (int i = 0; i < 3; ++i) CHECK(get(server.address(), "/hello").status == 200);
  REQUIRE(::kill(victim, SIGKILL) == 0);
}

void wait_read(const ServerProcess& server, std::uint64_t bytes) {
  REQUIRE(eventually(5s, [&] { return server.status().at("totals").at("bytes_in") >= bytes; }));
}

}  // namespace

TEST_CASE("a client that always has requests under way gets them all answered", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  constexpr int kWindow = 4;
  constexpr int kRequests = 300;
  // The last one is sent by halves, so that something is unanswered whenever the worker has read.
  std::string half;
  const auto send = [&](int id) {
    const std::string bytes = long_get(id);
    REQUIRE(connection.send_raw(half + bytes.substr(0, 500)));
    half = bytes.substr(500);
  };
  for (int id = 1; id <= kWindow; ++id) send(id);
  for (int id = 1; id + kWindow <= kRequests; ++id) {
    check_user(connection, id);
    send(id + kWindow);
    if (id == 200) kill_worker(server);
  }
}

TEST_CASE("requests behind a long body outlive the worker that has answered it", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  constexpr std::size_t kBody = 1'000'000;
  REQUIRE(connection.send_raw(request("POST", "/upload", "Content-Length: " + std::to_string(kBody) + "\r\n\r\n") +
                              std::string(kBody, 'b') + request("GET", "/slow?ms=700") + request("GET", "/users/7")));
  CHECK(connection.read_response().status == 200);
  kill_worker(server);
  CHECK(connection.read_response().json().at("waited_ms") == 700);
  check_user(connection, 7);
}

TEST_CASE("more requests than the ledger keeps, behind one that waits, are answered all the same", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  constexpr int kRequests = 150;
  std::string requests = request("GET", "/slow?ms=700");
  for (int id = 1; id <= kRequests; ++id) requests += long_get(id);
  REQUIRE(connection.send_raw(requests));
  wait_read(server, 60'000);
  kill_worker(server);
  CHECK(connection.read_response().json().at("waited_ms") == 700);
  for (int id = 1; id <= kRequests; ++id) check_user(connection, id);
}

TEST_CASE("requests that are sent while a response is read late are answered", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  constexpr int kRequests = 150;
  const std::string body = numbered(12'000'000);
  std::string requests = request("GET", "/download?bytes=" + std::to_string(body.size()));
  for (int id = 1; id <= kRequests; ++id) requests += long_get(id);
  REQUIRE(connection.send_raw(requests));
  wait_read(server, 60'000);
  kill_worker(server);
  CHECK(connection.read_response().body == body);
  for (int id = 1; id <= kRequests; ++id) check_user(connection, id);
}
